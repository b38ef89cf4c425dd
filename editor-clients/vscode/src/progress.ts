/** Runs the server's commands that take time, with a notification that can cancel them. */

import * as vscode from 'vscode';
import {
  ExecuteCommandRequest,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
  type LanguageClient,
} from 'vscode-languageclient/node';
import { tell } from './messages';

export const FIX = 'redraft.server.fix';
export const REFACTOR_FILE = 'redraft.server.refactorFile';
export const REFACTOR_SELECTION = 'redraft.server.refactorSelection';

/** What the server answers to a fix or a refactoring. */
export interface Outcome {
  status: string;
  applied: boolean;
  message: string;
  edits: number;
}

const TOKEN = 'redraft-vscode-';
let count = 0;

/** Whether a progress token was made here. */
export function isOurs(token: unknown): boolean {
  return typeof token === 'string' && token.startsWith(TOKEN);
}

/** The outcome, or undefined where the command failed; the user has been told why. `onEnd` is called when the work is
 * done, before the user looks at its result. */
export async function runWithProgress(
  client: LanguageClient,
  command: string,
  argument: unknown,
  onEnd: () => void = () => undefined,
): Promise<Outcome | undefined> {
  const workDoneToken = `${TOKEN}${++count}`;
  const shown = new Notification(client, workDoneToken, onEnd);
  try {
    return await client.sendRequest(ExecuteCommandRequest.type, {
      command,
      arguments: [argument],
      workDoneToken,
    });
  } catch (error) {
    if (client.isRunning()) {
      tell('warning', `Redraft: ${error instanceof Error ? error.message : String(error)}`);
    } // else the server is gone, which is said elsewhere
    return undefined;
  } finally {
    shown.end();
  }
}

/** Shown from the server's `begin` to its `end`: while the user looks at a preview, nothing is under way. */
class Notification {
  private readonly listener: vscode.Disposable;
  private progress: vscode.Progress<{ message?: string; increment?: number }> | undefined;
  private reported = 0;
  private finish: () => void = () => undefined;

  constructor(
    private readonly client: LanguageClient,
    private readonly token: string,
    private readonly onEnd: () => void,
  ) {
    this.listener = client.onProgress(WorkDoneProgress.type, token, (value) => {
      if (value.kind === 'begin') {
        this.begin(value.title);
      } else if (value.kind === 'report') {
        this.report(value.message, value.percentage ?? 0);
      } else {
        this.end();
      }
    });
  }

  private begin(title: string): void {
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    void vscode.window.withProgress(options, (progress, cancel) => {
      this.progress = progress;
      cancel.onCancellationRequested(() => {
        void this.client.sendNotification(WorkDoneProgressCancelNotification.type, { token: this.token });
      });
      return new Promise<void>((resolve) => (this.finish = resolve));
    });
  }

  private report(message: string | undefined, percentage: number): void {
    this.progress?.report({ ...(message ? { message } : {}), increment: percentage - this.reported });
    this.reported = percentage;
  }

  end(): void {
    this.listener.dispose();
    this.finish();
    this.onEnd();
  }
}
