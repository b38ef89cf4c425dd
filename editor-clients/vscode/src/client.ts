/** The language client: how it is set up, and one server process behind it. */

import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  MessageType,
  RevealOutputChannelOn,
  ShowMessageNotification,
  type LanguageClientOptions,
  type ShowMessageParams,
} from 'vscode-languageclient/node';
import type { ChildProcess } from 'node:child_process';
import { start, type Launch } from './launch';
import { SELECTOR } from './languages';
import { DOCTOR, SHOW_LOG, tell } from './messages';
import { isOurs } from './progress';
import { runCommand } from './refactor';
import { forServer } from './settings';
import type { StatusNotification } from './state';
import { receive, STEP } from './watch';

const STOP_MS = 2_000;
const STDERR_KEPT = 2_000;

export interface ClientEvents {
  status(status: StatusNotification): void;
  /** The connection is gone although nobody asked for that. */
  closed(): void;
}

/** Says nothing by itself: whoever owns it decides what the user is told, and how often. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown, _show?: boolean | 'force'): void {
    super.error(message, data, false);
  }
}

/** One process of the server with its connection; never started twice. */
export class Connection {
  readonly client: LanguageClient;
  private process: ChildProcess | undefined;
  private stderr = '';
  private leaving = false;

  constructor(launch: Launch, folder: string, log: vscode.LogOutputChannel, events: ClientEvents) {
    const spawnServer = (): Promise<ChildProcess> => {
      const child = start(launch, ['--stdio'], folder);
      this.process = child;
      child.stderr.on('data', (text: Buffer) => {
        this.stderr = (this.stderr + text.toString()).slice(-STDERR_KEPT);
      });
      // Rejecting here says why a program could not be started; later errors end the connection.
      return new Promise((resolve, reject) => {
        child.once('spawn', () => resolve(child));
        child.once('error', reject);
      });
    };
    const closed = (): void => {
      if (!this.leaving) {
        events.closed();
      }
    };
    this.client = new QuietClient(
      'redraft',
      'Redraft',
      spawnServer,
      clientOptions(log, closed, () => this.client),
    );
    this.client.onNotification('redraft/status', events.status);
    this.client.onNotification(STEP, receive);
    this.client.onNotification(ShowMessageNotification.type, showMessage);
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** What the server wrote last before it ended; a traceback's last line says what is wrong. */
  get lastWords(): string {
    return this.stderr.trim().split('\n').at(-1)?.trim() ?? '';
  }

  /** Give up on a server that has not answered yet, so that nobody waits for it. */
  abandonStart(): void {
    if (!this.client.isRunning()) {
      this.process?.kill('SIGKILL');
    }
  }

  /** Shut the server down as the protocol says; one that does not listen is killed. */
  async stop(): Promise<void> {
    this.leaving = true;
    try {
      await this.client.stop(STOP_MS);
    } catch {
      // It was not up yet, or hangs.
    }
    if (this.process?.exitCode === null) {
      await Promise.race([
        new Promise((resolve) => this.process?.once('exit', resolve)),
        new Promise((resolve) => setTimeout(resolve, 500)),
      ]);
      this.process.kill('SIGKILL');
    }
    await this.client.dispose().catch(() => undefined);
  }
}

function clientOptions(
  log: vscode.LogOutputChannel,
  closed: () => void,
  client: () => LanguageClient,
): LanguageClientOptions {
  return {
    documentSelector: SELECTOR,
    outputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationFailedHandler: () => false,
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      // Restarts are the business of `Server`, which knows how many there were.
      closed: () => {
        closed();
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
    middleware: {
      // Code actions carry commands: they get the same notification with progress as ours.
      executeCommand: (command, args, next) => runCommand(client(), command, args, next),
      // Loading has a progress bar of the server's too: our status item shows it already.
      handleWorkDoneProgress: (token, params, next) => {
        if (isOurs(token)) {
          next(token, params);
        }
      },
      workspace: {
        configuration: async (params, token, next) => {
          const sections = await next(params, token);
          return Array.isArray(sections) ? sections.map(forServer) : sections;
        },
      },
    },
  };
}

function showMessage({ type, message }: ShowMessageParams): void {
  if (type === MessageType.Error) {
    tell('error', message, SHOW_LOG, DOCTOR);
  } else {
    tell(type === MessageType.Warning ? 'warning' : 'info', message);
  }
}
