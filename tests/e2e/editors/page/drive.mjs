// Drives the page of `redraft play` in Chromium: one JSON object a line in, one out.
//   {"do": "open", "link", "scheme", "imitated"?}  {"do": "go", "link"}  {"do": "click" | "text" | "count", "what"}  {"do": "keys", "keys": [...]}
//   {"do": "wait", "script"}  {"do": "read", "script"}  {"do": "picture", "path"}
// `imitated` stands for the server's WebSocket: for each run what it sends, `{"step"}`, `{"answer"}` or, once the run
// is cancelled, `{"late"}`.
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
const tokens = [];
let page;

function imitate(runs) {
  return (socket) => {
    const send = (message) => socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
    const watched = new Map();
    const step = (token, params) => send({ method: "redraft/denoise", params: { token, ...params } });
    socket.onMessage((text) => {
      const { id, method, params, token } = JSON.parse(text);
      if (token !== undefined) {
        send({});
        send({ method: "redraft/status", params: { state: "ready", message: "imitated" } });
      }
      if (method === "initialize") send({ id, result: {} });
      if (method === "redraft/watch") {
        const news = runs.shift();
        watched.set(id, { token: params.token, news });
        tokens.push(params.token);
        for (const each of news) {
          if (each.step) step(params.token, each.step);
          if (each.answer) send({ id, result: { version: params.version, ...each.answer } });
        }
      }
      if (method === "$/cancelRequest") {
        const { token, news } = watched.get(params.id);
        for (const each of news) if (each.late) step(token, each.late);
        send({ id: params.id, error: { code: -32800, message: "Cancelled." } });
      }
    });
  };
}

const verbs = {
  async open({ link, scheme, imitated }) {
    await page?.close();
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: scheme });
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("request", (request) => hosts.add(new URL(request.url()).host));
    page.on("websocket", (socket) => hosts.add(new URL(socket.url()).host));
    if (imitated) await page.routeWebSocket(/./, imitate(imitated));
    await page.goto(link);
  },
  go: ({ link }) => page.goto(link).then(() => true),
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
      try {
        if (await page.evaluate(script)) return true;
      } catch (error) {
        if (!/context was destroyed/i.test(error.message)) throw error; // the page is loading anew
      }
      await page.waitForTimeout(100);
    }
    throw new Error(`never true: ${script}`);
  },
  read: ({ script }) => page.evaluate(script),
  picture: ({ path }) => page.screenshot({ path }).then(() => true),
  hosts: async () => [...hosts],
  errors: async () => errors,
  tokens: async () => tokens,
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
