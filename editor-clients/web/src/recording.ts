// What a run did, step by step, so that it can be stepped through and shown again.

import type { Answer, Cost, Frame, Step } from "./session";

export interface Moment {
  /** Milliseconds of work until here. */
  at: number;
  cost: Cost;
  /** The canvas of each region as it stands. */
  regions: Frame[];
}

export class Recording {
  moments: Moment[] = [];
  answer: Answer | null = null;
  failure = "";

  constructor(readonly title: string) {}

  /** One more step. Costs that go back mean that the run began anew, with another model. */
  add({ frames, cost }: Step): void {
    const last = this.moments.at(-1)?.cost;
    const isAnew = last && (cost.milliseconds < last.milliseconds || cost.forwards < last.forwards);
    if (isAnew) this.moments = [];
    const regions = [...(this.moments.at(-1)?.regions ?? [])];
    for (const frame of frames) regions[frame.region] = frame;
    this.moments.push({ at: cost.milliseconds, cost, regions });
  }

  /** Milliseconds of work: the answer's, or until the latest step. */
  get length(): number {
    return Math.max(this.lastStep, this.answer?.cost.milliseconds ?? 0);
  }

  get lastStep(): number {
    return this.moments.at(-1)?.at ?? 0;
  }

  get isFinished(): boolean {
    return this.answer !== null || this.failure !== "";
  }

  /** The latest moment at or before `time`; none before the first. */
  moment(time: number): Moment | null {
    return this.moments.findLast((each) => each.at <= time) ?? null;
  }
}
