// One clock for all panes: they show what each run had reached after the same time of work.

import type { Pane } from "./pane";

const SPEEDS = [1, 0.3, 0.1, 0.03] as const;

export class Player {
  private panes: Pane[] = [];
  private time = 0;
  private isPlaying = false;
  /** Stays at the end of runs that are under way. */
  private isFollowing = false;
  private last = 0;
  private frame = 0;
  private play = button("Play", () => this.toggle());
  private slider = document.createElement("input");
  private speed = document.createElement("select");
  private clock = document.createElement("output");
  private note = document.createElement("p");

  constructor(parent: HTMLElement) {
    this.slider.type = "range";
    this.slider.min = "0";
    this.slider.step = "any"; // else it would stop short of an end between two steps
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
      button("End", () => this.end()),
      this.speed,
      this.slider,
      this.clock,
    );
    this.note.className = "hint";
    this.note.textContent = "How far the two runs are, both after the same time of work.";
    this.note.hidden = true;
    parent.after(this.note);
  }

  /** Shows these runs from their beginning; they may still be under way. */
  show(panes: Pane[]): void {
    this.panes = panes;
    this.note.hidden = panes.length < 2;
    this.seek(0);
    this.start();
  }

  /** Draws again what is shown: something about the runs or the code has changed. */
  refresh(): void {
    this.seek(this.isFollowing ? this.length : Math.min(this.time, this.length));
  }

  private get length(): number {
    return Math.max(0, ...this.panes.map((pane) => pane.recording.length));
  }

  private get moments(): number[] {
    return [...new Set([0, ...this.panes.flatMap((pane) => pane.recording.moments.map((m) => m.at))])].sort(
      (a, b) => a - b,
    );
  }

  private end(): void {
    this.pause();
    this.isFollowing = true;
    this.seek(this.length);
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
    this.isFollowing = false;
    this.play.textContent = "Pause";
    this.last = performance.now();
    this.next();
  }

  /** Never two loops at once, however often it is started. */
  private next(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame((now) => this.tick(now));
  }

  private pause(): void {
    this.isPlaying = false;
    this.isFollowing = false;
    this.play.textContent = "Play";
  }

  private tick(now: number): void {
    if (!this.isPlaying) return;
    const ends = this.panes.every((pane) => pane.recording.isFinished);
    const passed = Math.max(0, now - this.last) * Number(this.speed.value);
    this.seek(Math.min(this.length, this.time + passed));
    this.last = now;
    if (ends && this.time >= this.length) return this.pause();
    this.next();
  }

  private seek(time: number): void {
    this.time = time;
    this.slider.max = String(this.length);
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
