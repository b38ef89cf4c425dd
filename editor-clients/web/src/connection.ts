// JSON-RPC over one WebSocket that comes back by itself. The token is shown in the first message, as the server
// wants it from a page; it is never part of an address that a proxy or a log could see.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

interface Waiting {
  resolve: (result: any) => void;
  reject: (error: Error) => void;
}

export class ConnectionLost extends Error {
  constructor() {
    super("The connection was cut in the middle of it. Run it again once the page is connected.");
  }
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

export class Connection {
  private socket: WebSocket | null = null;
  private waiting = new Map<number, Waiting>();
  private number = 0;
  private pause = FIRST_PAUSE;
  private isRefused = false;

  constructor(
    private address: string,
    private token: string,
    private on: {
      ready: () => Promise<void>;
      lost: (why: string, forGood: boolean) => void;
      notified: (method: string, params: any) => void;
    },
  ) {}

  open(): void {
    const socket = new WebSocket(this.address);
    this.socket = socket;
    let greeted = false;
    socket.onopen = () => socket.send(JSON.stringify({ token: this.token }));
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data as string);
      if (greeted) return this.receive(message);
      if (message.error) {
        this.isRefused = true;
        this.on.lost(message.error, true);
        return;
      }
      greeted = true;
      this.pause = FIRST_PAUSE;
      void this.on.ready().catch((error: Error) => this.on.lost(error.message, false));
    };
    socket.onclose = () => this.closed();
  }

  /** Resolves with the result; rejects with the server's message, or `ConnectionLost`. */
  request(method: string, params: Json): Promise<any> {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) return reject(new ConnectionLost());
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  notify(method: string, params: Json): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.send({ method, params });
  }

  /** Cancels every request that is under way; each then rejects. */
  cancelAll(): void {
    for (const id of this.waiting.keys()) this.notify("$/cancelRequest", { id });
  }

  private send(message: Json & object): void {
    this.socket?.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  private receive(message: any): void {
    if (message.method !== undefined) {
      // The server asks for nothing that this page could refuse: configuration, progress tokens.
      if (message.id !== undefined) this.send({ id: message.id, result: answerTo(message) });
      else this.on.notified(message.method, message.params);
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) waiting?.reject(new Error(message.error.message));
    else waiting?.resolve(message.result);
  }

  private closed(): void {
    const cut = [...this.waiting.values()];
    this.waiting.clear();
    for (const each of cut) each.reject(new ConnectionLost());
    if (this.isRefused) return;
    this.on.lost(`Not connected; trying again. Is \`redraft play\` still running?`, false);
    setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(LONGEST_PAUSE, 2 * this.pause);
  }
}

function answerTo(message: any): Json {
  return message.method === "workspace/configuration" ? message.params.items.map(() => null) : null;
}
