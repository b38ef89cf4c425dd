// One run on the screen: its canvases, token by token, and what it has cost so far.

import type { Recording } from "./recording";
import type { Cell } from "./session";

export class Pane {
  readonly element = document.createElement("article");
  private figures = document.createElement("p");
  private canvases = document.createElement("div");
  private verdict = document.createElement("p");
  private shown: unknown[] = [];

  constructor(
    readonly recording: Recording,
    private isFresh: () => boolean,
    private onApply: () => void,
  ) {
    const title = document.createElement("h3");
    title.textContent = recording.title;
    this.figures.className = "figures";
    this.verdict.className = "verdict";
    this.element.append(title, this.figures, this.canvases, this.verdict);
  }

  draw(time: number): void {
    const moment = this.recording.moment(time);
    // A failure has no place in the time of work: it is said at once.
    const { failure, isFinished, lastStep } = this.recording;
    const isEnd = failure !== "" || (isFinished && time >= lastStep);
    const shown = [moment, isEnd, this.isFresh()];
    if (shown.every((each, i) => each === this.shown[i])) return;
    this.shown = shown;
    const cost = isEnd && this.recording.answer ? this.recording.answer.cost : moment?.cost;
    this.figures.textContent = cost ? figures(cost) : "waiting for the first step";
    this.canvases.replaceChildren(
      ...(moment?.regions ?? []).filter(Boolean).map((frame) => canvas(frame.cells)),
    );
    this.verdict.replaceChildren(...(isEnd ? this.end() : []));
  }

  private end(): (Node | string)[] {
    const { answer, failure } = this.recording;
    if (!answer) return [failure];
    if (answer.status !== "offered") return [`${answer.status}: ${answer.message}`];
    if (!this.isFresh()) return ["The code has changed since; run again."];
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Apply to the code";
    button.onclick = () => this.onApply();
    return [`offered: the result passed the syntax check. `, button];
  }
}

function figures(cost: {
  forwards: number;
  tokens: number;
  milliseconds: number;
  tokensPerForward: number;
}): string {
  const steps = `${cost.forwards} ${cost.forwards === 1 ? "step" : "steps"}`;
  const time = `${cost.milliseconds.toFixed(0)} ms`;
  const found = [steps, time];
  if (cost.tokens) {
    const rate = (1000 * cost.tokens) / Math.max(1, cost.milliseconds);
    const tokens = `${cost.tokens} ${cost.tokens === 1 ? "token" : "tokens"}`;
    const perStep = `${cost.tokensPerForward.toFixed(2)} tokens per step`;
    found.splice(1, 0, tokens, perStep, `${rate.toFixed(0)} tokens/s`);
  }
  return found.map((each) => each.replaceAll(" ", "\u00a0")).join(" · "); // lines break between figures alone
}

function canvas(cells: Cell[]): HTMLElement {
  const pre = document.createElement("pre");
  pre.className = "canvas";
  for (const [text, state, confidence] of cells) {
    const cell = document.createElement("span");
    cell.className = `cell ${state}`;
    cell.textContent = text === "" ? "▁▁" : text;
    if (confidence !== null) {
      cell.style.setProperty("--sure", String(Math.round(20 + 80 * confidence)) + "%");
      cell.title = `${state}, ${(100 * confidence).toFixed(0)} % sure`;
    }
    pre.append(cell);
  }
  return pre;
}
