/** `redraft/denoise`: every step of a denoising whose stream has been named by a token. */

import type { Cell } from './canvas';

export const STEP = 'redraft/denoise';

interface Position {
  readonly line: number;
  readonly character: number;
}

/** The canvas of one region after a step. */
export interface Frame {
  region: number;
  range: { start: Position; end: Position };
  finished: boolean;
  cells: Cell[];
}

export interface Step {
  token: string;
  frames: Frame[];
}

const streams = new Map<string, (step: Step) => void>();
let count = 0;

/** Hand a step to whoever watches it; those of a request that has ended are dropped. */
export function receive(step: Step): void {
  streams.get(step.token)?.(step);
}

/** A token, under which steps are heard until `unwatch`. */
export function watch(onStep: (step: Step) => void): string {
  const token = `vscode ${++count}`;
  streams.set(token, onStep);
  return token;
}

export function unwatch(token: string): void {
  streams.delete(token);
}
