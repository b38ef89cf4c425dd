/** How long a crash counts. */
const WINDOW_MS = 3 * 60_000;
/** The wait before each restart; after as many crashes within the window the server stays down. */
const WAITS_MS: readonly number[] = [250, 1_000, 4_000, 10_000];
/** A server that never answered is tried once more: what is wrong with it rarely passes by itself. */
const WAITS_NEVER_UP_MS: readonly number[] = [1_000];

/** Decides after a crash whether, and when, to start the server again. */
export class Crashes {
  private times: number[] = [];

  /** Note a crash at `now`; the wait in milliseconds before the next start, or undefined: give up. */
  next(now: number, wasUp: boolean): number | undefined {
    this.times = [...this.times.filter((time) => now - time < WINDOW_MS), now];
    return (wasUp ? WAITS_MS : WAITS_NEVER_UP_MS)[this.times.length - 1];
  }

  forget(): void {
    this.times = [];
  }
}
