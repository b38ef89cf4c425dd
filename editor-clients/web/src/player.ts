// One clock for all panes: they show what each run had reached after the same time of work.

import type { Pane } from "./pane";

const SPEEDS = [1, 0.3, 0.1, 0.03] as const;

export class Player {
  private panes: Pane[] = [];
  private time = 0;
  private isPlaying = false;
  private last = 0;
  private play = button("Play", () => this.toggle());
  private slider = document.createElement("input");
  private speed = document.createElement("select");
  private clock = document.createElement("output");

  constructor(parent: HTMLElement) {
    this.slider.type = "range";
    this.slider.min = "0";
    this.slider.setAttribute("aria-label", "Time of work in milliseconds");
    this.slider.oninput = () => (this.pause(), this.seek(Number(this.slider.value)));
    this.speed.setAttribute("aria-label", "Speed");
    for (const each of SPEEDS) {
      const name = each === 1 ? "as it ran" : `${Math.round(1 / each)} times slower`;
      this.speed.add(new Option(name, String(each), each === 0.1, each === 0.1));
    }
    parent.append(
      button("Start", () => (this.pause(), this.seek(0))),
      button("Step back", () => this.step(-1)),
      this.play,
      button("Step", () => this.step(1)),
      button("End", () => (this.pause(), this.seek(this.length))),
      this.speed,
      this.slider,
      this.clock,
    );
  }

  /** Shows these runs from their beginning; they may still be under way. */
  show(panes: Pane[]): void {
    this.panes = panes;
    this.seek(0);
    this.start();
  }

  /** Draws again what is shown: something about the runs or the code has changed. */
  refresh(): void {
    this.seek(Math.min(this.time, this.length));
  }

  private get length(): number {
    return Math.max(0, ...this.panes.map((pane) => pane.recording.length));
  }

  private get moments(): number[] {
    return [...new Set([0, ...this.panes.flatMap((pane) => pane.recording.moments.map((m) => m.at))])].sort(
      (a, b) => a - b,
    );
  }

  private step(by: 1 | -1): void {
    this.pause();
    const found =
      by > 0 ? this.moments.find((at) => at > this.time) : this.moments.findLast((at) => at < this.time);
    if (found !== undefined) this.seek(found);
  }

  private toggle(): void {
    if (this.isPlaying) return this.pause();
    if (this.time >= this.length) this.seek(0);
    this.start();
  }

  private start(): void {
    this.isPlaying = true;
    this.play.textContent = "Pause";
    this.last = performance.now();
    requestAnimationFrame((now) => this.tick(now));
  }

  private pause(): void {
    this.isPlaying = false;
    this.play.textContent = "Play";
  }

  private tick(now: number): void {
    if (!this.isPlaying) return;
    const ends = this.panes.every((pane) => pane.recording.isFinished);
    this.seek(Math.min(this.length, this.time + (now - this.last) * Number(this.speed.value)));
    this.last = now;
    if (ends && this.time >= this.length) return this.pause();
    requestAnimationFrame((later) => this.tick(later));
  }

  private seek(time: number): void {
    this.time = time;
    this.slider.max = String(Math.ceil(this.length));
    this.slider.value = String(time);
    this.clock.textContent = `${time.toFixed(0)} ms`;
    for (const pane of this.panes) pane.draw(time);
  }
}

function button(name: string, onClick: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = name;
  made.onclick = onClick;
  return made;
}
