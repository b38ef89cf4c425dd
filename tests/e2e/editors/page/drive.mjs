// Drives the page of `redraft play` in Chromium: one JSON object a line in, one out.
//   {"do": "open", "link", "scheme"}  {"do": "click" | "text" | "count", "what"}  {"do": "keys", "keys": [...]}
//   {"do": "wait", "script"}  {"do": "read", "script"}  {"do": "picture", "path"}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2]);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({
  executablePath: process.argv[3],
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const hosts = new Set();
const errors = [];
let page;

const verbs = {
  async open({ link, scheme }) {
    await page?.close();
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: scheme });
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("request", (request) => hosts.add(new URL(request.url()).host));
    page.on("websocket", (socket) => hosts.add(new URL(socket.url()).host));
    await page.goto(link);
  },
  click: ({ what }) => page.locator(what).first().click(),
  text: ({ what }) => page.locator(what).allInnerTexts(),
  async keys({ keys }) {
    for (const key of keys) await page.keyboard.press(key);
  },
  write: ({ text }) => page.keyboard.type(text),
  choose: ({ what, value }) => page.selectOption(what, value),
  // Not `waitForFunction`, whose polling the page's security policy forbids.
  async wait({ script }) {
    for (let left = 600; left > 0; left--) {
      if (await page.evaluate(script)) return true;
      await page.waitForTimeout(100);
    }
    throw new Error(`never true: ${script}`);
  },
  read: ({ script }) => page.evaluate(script),
  picture: ({ path }) => page.screenshot({ path }).then(() => true),
  hosts: async () => [...hosts],
  errors: async () => errors,
};

for await (const line of createInterface({ input: process.stdin })) {
  const wish = JSON.parse(line);
  try {
    console.log(JSON.stringify({ result: (await verbs[wish.do](wish)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
await browser.close();
