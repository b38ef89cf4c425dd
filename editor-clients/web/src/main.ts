// Puts the page together: code on the left, what becomes of it on the right.

import { CodeEditor } from "./editor";
import { EXAMPLE } from "./example";
import { Pane } from "./pane";
import { Player } from "./player";
import { PolicyChoice } from "./policies";
import { Recording } from "./recording";
import { Session, type Wish } from "./session";
import { themeButton } from "./theme";

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const AUTOREGRESSIVE = "autoregressive";

const form = find<HTMLFormElement>("controls");
const instruction = find<HTMLInputElement>("instruction");
const runButton = find<HTMLButtonElement>("run");
const status = find("status");
const panes = find("panes");
const policy = new PolicyChoice(find("policy"), find("numbers"));
const player = new Player(find("player"));
const editor = new CodeEditor(find("editor"), EXAMPLE, {
  changed: () => (session.changed(), player.refresh()),
  run: () => form.requestSubmit(),
});
let running = 0;
// The token is the address's fragment, which browsers send to nobody.
const session = new Session(location.hash.slice(1), () => editor.text, showStatus);

function showStatus(state: string, message: string): void {
  status.textContent = state === "busy" ? "working" : message || state;
  status.dataset["state"] = state;
  runButton.disabled = !running && !["ready", "busy"].includes(state);
}

function task(): Wish["task"] {
  return new FormData(form).get("task") as Wish["task"];
}

/** What to ask for; a string says what is missing. */
function wish(): Wish | string {
  const kind = task();
  if (kind === "fix") return { task: kind, position: editor.cursor };
  if (kind === "fill") {
    const ranges = editor.marked;
    return ranges.length ? { task: kind, ranges } : "Mark something first: select it, then Alt+M.";
  }
  const words = instruction.value.trim();
  if (!words) return "Write an instruction first.";
  const range = editor.selection;
  return { task: kind, instruction: words, ...(range ? { range } : {}) };
}

async function record(recording: Recording, asked: Wish): Promise<void> {
  try {
    recording.answer = await session.watch(asked, (step) => {
      recording.add(step);
      player.refresh();
    });
  } catch (error) {
    recording.failure = (error as Error).message || "It failed, and the server did not say why.";
  }
  player.refresh(); // it may stand still, with the verdict yet to show
}

async function run(): Promise<void> {
  if (running) return session.stop();
  const asked = wish();
  if (typeof asked === "string") return showMessage(asked);
  const names = [policy.name, ...(find<HTMLInputElement>("beside").checked ? [AUTOREGRESSIVE] : [])];
  const shown = names.map((name) => {
    const recording = new Recording(name === AUTOREGRESSIVE ? "Autoregressive" : "Diffusion");
    // Edits belong to the text that they were made for, and to no other.
    const isFresh = () => recording.answer?.version === session.version;
    return new Pane(recording, isFresh, () => {
      if (recording.answer && isFresh()) editor.apply(recording.answer);
    });
  });
  panes.replaceChildren(...shown.map((pane) => pane.element));
  player.show(shown);
  running = shown.length;
  runButton.textContent = "Stop";
  await Promise.all(shown.map((pane, i) => record(pane.recording, { ...asked, policy: names[i]! })));
  running = 0;
  runButton.textContent = "Run";
}

function showMessage(text: string): void {
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "alert");
  note.textContent = text;
  panes.replaceChildren(note);
}

function suit(): void {
  policy.suit(task());
  instruction.hidden = task() !== "refactor";
}

form.onsubmit = (event) => {
  event.preventDefault();
  void run();
};
form.onchange = suit;
find("mark").onclick = () => {
  editor.markSelection();
  form.querySelector<HTMLInputElement>("[value=fill]")!.checked = true;
  suit();
};
find("unmark").onclick = () => editor.clearMarks();
onhashchange = () => location.reload(); // another key was pasted
themeButton(find("theme"));
suit();
showMessage("Put the cursor into the broken function and run.");
