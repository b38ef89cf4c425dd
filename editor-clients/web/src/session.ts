// The language server as this page uses it: one document, kept in step, and streams of denoising.

import { Connection, type Json } from "./connection";

export interface Place {
  line: number;
  character: number;
}

export interface Range {
  start: Place;
  end: Place;
}

export type CellState = "mask" | "remasked" | "kept" | "committed" | "revised";
export type Cell = [text: string, state: CellState, confidence: number | null];

export interface Frame {
  region: number;
  range: Range;
  forwards: number;
  finished: boolean;
  cells: Cell[];
}

export interface Cost {
  forwards: number;
  prefills: number;
  tokens: number;
  milliseconds: number;
  tokensPerForward: number;
}

export interface Step {
  frames: Frame[];
  cost: Cost;
}

export interface Answer {
  status: "offered" | "unchanged" | "rejected" | "declined" | "stopped";
  message: string;
  cost: Cost;
  version: number;
  edits: { range: Range; newText: string }[];
}

export interface Wish {
  task: "fill" | "fix" | "refactor";
  ranges?: Range[];
  range?: Range;
  position?: Place;
  instruction?: string;
  policy?: string;
}

const URI = "file:///play/example.py";

export class Session {
  /** Of the document's text; it grows with every change, and with nothing else. */
  version = 1;
  private streams = new Map<string, (step: Step) => void>();
  private connection: Connection;
  /** Names this page's streams: this page, its connection, the run. */
  private page = Math.random().toString(36).slice(2);
  private connections = 0;
  private runs = 0;

  constructor(
    token: string,
    private text: () => string,
    private show: (state: string, message: string) => void,
  ) {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
    this.connection = new Connection(address, token, {
      ready: () => this.begin(),
      lost: (why, forGood) => this.show(forGood ? "refused" : "lost", why),
      notified: (method, params) => this.notified(method, params),
    });
    this.connection.open();
  }

  changed(): void {
    this.version += 1;
    const textDocument = { uri: URI, version: this.version };
    this.connection.notify("textDocument/didChange", {
      textDocument,
      contentChanges: [{ text: this.text() }],
    });
  }

  /** Runs `wish` and hands over each step; resolves with the answer. */
  async watch(wish: Wish, onStep: (step: Step) => void): Promise<Answer> {
    const token = `${this.page} ${this.connections} ${++this.runs}`;
    this.streams.set(token, onStep);
    try {
      const params = { token, uri: URI, version: this.version, ...wish } as unknown as Json;
      return (await this.connection.request("redraft/watch", params)) as Answer;
    } finally {
      this.streams.delete(token);
    }
  }

  /** Stops every run; what still arrives of them is ignored. */
  stop(): void {
    this.streams.clear();
    this.connection.cancelAll();
  }

  /** After every connection, the first and later ones: the server knows nothing yet. */
  private async begin(): Promise<void> {
    this.connections += 1;
    await this.connection.request("initialize", {
      processId: null,
      rootUri: null,
      capabilities: {
        general: { positionEncodings: ["utf-16"] },
        textDocument: { inlineCompletion: {} },
        window: { workDoneProgress: false },
      },
    });
    this.connection.notify("initialized", {});
    const document = { uri: URI, languageId: "python", version: this.version, text: this.text() };
    this.connection.notify("textDocument/didOpen", { textDocument: document });
  }

  private notified(method: string, params: any): void {
    if (method === "redraft/denoise") this.streams.get(params.token)?.(params as Step);
    if (method === "redraft/status") this.show(params.state, params.message);
  }
}
