// Light, dark, or as the system has it; remembered where the browser allows.

type Theme = "auto" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function themeButton(button: HTMLButtonElement): void {
  let theme = read();
  const show = () => {
    document.documentElement.dataset["theme"] = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.onclick = () => {
    theme = NEXT[theme];
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Then it lasts as long as the page.
    }
    show();
  };
  show();
}

function read(): Theme {
  try {
    const found = localStorage.getItem("theme");
    return found === "light" || found === "dark" ? found : "auto";
  } catch {
    return "auto";
  }
}
