/** `redraft/watch`: a request whose denoising is shown step by step, by notifications. The response carries the edits. */

import { ErrorCodes, ResponseError, type LanguageClient } from 'vscode-languageclient/node';
import type { Cell } from './canvas';
import type { Range } from './rebase';

export const STEP = 'redraft/denoise';
const METHOD = 'redraft/watch';

/** The canvas of one region after a step. */
export interface Frame {
  region: number;
  range: Range;
  finished: boolean;
  cells: Cell[];
}

export interface Step {
  token: string;
  frames: Frame[];
}

export interface Answer {
  status: 'offered' | 'unchanged' | 'rejected' | 'declined' | 'stopped';
  message: string;
  /** The edits are for the document as it was at this version. */
  version: number;
  edits: { range: Range; newText: string }[];
}

/** What is asked about: the whole document, or a range. */
export interface Refactoring {
  uri: string;
  version: number;
  instruction: string;
  range?: unknown;
  workDoneToken: string;
}

const streams = new Map<string, (step: Step) => void>();

/** Hand a step to whoever watches it; those of a request that has ended are dropped. */
export function receive(step: Step): void {
  streams.get(step.token)?.(step);
}

/** Rejects with the server's message. A newer request about the same document replaces an older one. */
export async function watch(
  client: LanguageClient,
  what: Refactoring,
  onStep: (step: Step) => void,
): Promise<Answer> {
  const token = `refactor ${what.uri}`;
  streams.set(token, onStep);
  try {
    return await client.sendRequest(METHOD, { token, task: 'refactor', ...what });
  } finally {
    if (streams.get(token) === onStep) {
      streams.delete(token);
    }
  }
}

/** Whether a request failed because the server is older than it. */
export function isUnknownMethod(error: unknown): boolean {
  return error instanceof ResponseError && error.code === ErrorCodes.MethodNotFound;
}
