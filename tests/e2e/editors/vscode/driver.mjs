// Drives one browser page for a test. Reads requests from stdin and answers on stdout, one JSON value a line:
//   {"id": 1, "do": "press", "args": ["Control+S"]}  ->  {"id": 1, "value": null} or {"id": 1, "error": "…"}
// The first argument is the browser's program, the second a folder for its data.

import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const [executablePath, userData, modules] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const context = await chromium.launchPersistentContext(userData, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 800 },
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(120_000);

const actions = {
  open: (url) => page.goto(url, { waitUntil: 'domcontentloaded' }),
  press: (key) => page.keyboard.press(key),
  type: (text, delay = 0) => page.keyboard.type(text, { delay }),
  insert: (text) => page.keyboard.insertText(text),
  click: (selector) => page.locator(selector).first().click(),
  hover: (selector) => page.locator(selector).first().hover(),
  fill: async (selector, text) => {
    // An input box that closes meanwhile is not waited for.
    await page
      .locator(selector)
      .first()
      .fill(text, { timeout: 1_000 })
      .catch(() => null);
  },
  values: (selector) => page.locator(selector).evaluateAll((all) => all.map((e) => e.value)),
  texts: (selector) => page.locator(selector).allInnerTexts(),
  labels: (selector) =>
    page.locator(selector).evaluateAll((all) => all.map((e) => e.getAttribute('aria-label'))),
  // The text of `::after`, which decorations of an editor use; without what is empty.
  contents: (selector) =>
    page.locator(selector).evaluateAll((all) =>
      all
        .map((e) => getComputedStyle(e, '::after').content)
        .filter((content) => content.startsWith('"') && content !== '""') // nothing where it has just gone
        .map((content) => JSON.parse(content).replaceAll('\u00a0', ' ')),
    ),
  screenshot: (path) => page.screenshot({ path }),
  // Milliseconds from the key to the first frame with grey text; null if none comes in time.
  async latency(key, timeout) {
    await page.evaluate(() => {
      let began;
      window.addEventListener('keydown', () => (began ??= performance.now()), { capture: true, once: true });
      window.greyText = new Promise((resolve) => {
        const look = (now) => {
          if (began !== undefined && document.querySelector('[class*=ghost-text]')) {
            resolve(now - began);
          } else {
            requestAnimationFrame(look);
          }
        };
        requestAnimationFrame(look);
      });
    });
    await page.keyboard.press(key);
    return page.evaluate(
      (limit) => Promise.race([window.greyText, new Promise((r) => setTimeout(() => r(null), limit))]),
      timeout,
    );
  },
};

process.stdout.write('{"id": 0, "value": "ready"}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, args } = JSON.parse(line);
  let answer;
  try {
    const value = await actions[name](...args);
    answer = { id, value: name === 'open' ? null : (value ?? null) };
  } catch (error) {
    answer = { id, error: String(error.message ?? error) };
  }
  if (answer.value instanceof Uint8Array) {
    answer.value = null;
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await context.close();
