/** Keeps one server running: finds it, starts it, starts it again after a crash, says what is wrong. */

import * as path from 'node:path';
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { Connection } from './client';
import { Crashes } from './crashes';
import { findServer, WrongPathError } from './discovery';
import type { Launch } from './launch';
import { DOCTOR, RESTART, SHOW_LOG, tell, type Action } from './messages';
import { setting } from './settings';
import { stateOf, type ServerState } from './state';
import { isTooOld, OLDEST_SERVER } from './version';

const CREATE = { title: 'Install…', command: 'redraft.createEnvironment' };
const SET_PATH = { title: 'Set Path…', command: 'redraft.setPath' };

export class Server implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<ServerState>();
  readonly onDidChangeState = this.changed.event;
  private current: ServerState = { kind: 'stopped' };
  private connection: Connection | undefined;
  private restartTimer: NodeJS.Timeout | undefined;
  private readonly crashes = new Crashes();
  private saidMissing = '';
  /** Starts and stops one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(
    /** The extension's own folder: where the server runs, and where its environment may be. */
    readonly folder: string,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  get state(): ServerState {
    return this.current;
  }

  get environment(): string {
    return path.join(this.folder, 'server');
  }

  /** The client of a server that answers. */
  get client(): LanguageClient | undefined {
    return this.connection?.client.isRunning() ? this.connection.client : undefined;
  }

  /** How the server is started, or undefined where there is none. Throws WrongPathError. */
  find(): Launch | undefined {
    return findServer(setting('server.path', ''), this.environment);
  }

  start(): Promise<void> {
    return this.enqueue(() => this.startNow());
  }

  stop(): Promise<void> {
    this.connection?.abandonStart();
    return this.enqueue(async () => {
      await this.stopNow();
      this.show({ kind: 'stopped' });
    });
  }

  /** Start again because the user asked, or because another server is to be used. */
  restart(): Promise<void> {
    this.connection?.abandonStart();
    return this.enqueue(async () => {
      this.crashes.forget();
      this.saidMissing = '';
      await this.stopNow();
      await this.startNow();
    });
  }

  dispose(): void {
    clearTimeout(this.restartTimer);
    this.changed.dispose();
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(work).catch((error: unknown) => this.log.error(String(error)));
    return this.queue;
  }

  private async startNow(): Promise<void> {
    if (this.connection !== undefined) {
      return;
    }
    let launch: Launch | undefined;
    try {
      launch = this.find();
    } catch (error) {
      if (!(error instanceof WrongPathError)) {
        throw error;
      }
      return this.missing(error.message);
    }
    if (launch === undefined) {
      return this.missing('Redraft needs its server, and none was found on PATH.');
    }
    this.log.info(`Starting the server found ${launch.found}: ${[launch.command, ...launch.args].join(' ')}`);
    this.show({ kind: 'starting' });
    await vscode.workspace.fs.createDirectory(vscode.Uri.file(this.folder));
    await this.connect(launch);
  }

  private async connect(launch: Launch): Promise<void> {
    let up = false;
    let over = false;
    let gone: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => (gone = resolve));
    const ended = (why?: string): void => {
      gone();
      if (!over && this.connection === connection) {
        over = true;
        void this.enqueue(() => this.crashed(connection, up, why));
      }
    };
    const connection: Connection = new Connection(launch, this.folder, this.log, {
      status: (status) => this.connection === connection && this.show(stateOf(status)),
      closed: () => ended(),
    });
    this.connection = connection;
    try {
      // A server that ends before it answers may leave `start` waiting for good.
      await Promise.race([connection.client.start(), closed]);
    } catch (error) {
      return ended(error instanceof Error ? error.message : String(error));
    }
    if (over) {
      return;
    }
    up = true;
    this.log.info(`The server is up, process ${connection.pid}.`);
    const version = connection.client.initializeResult?.serverInfo?.version;
    if (isTooOld(version)) {
      await this.stopNow();
      this.fail(
        `Redraft ${version ?? '(unknown version)'} is too old for this extension, which needs ${OLDEST_SERVER} or ` +
          `newer. Update the server (found ${launch.found}).`,
        CREATE,
        SET_PATH,
      );
    }
  }

  private async crashed(connection: Connection, wasUp: boolean, why: string | undefined): Promise<void> {
    if (this.connection !== connection) {
      return; // it was stopped meanwhile
    }
    await this.stopNow();
    const reason = connection.lastWords || why || '';
    const wait = this.crashes.next(Date.now(), wasUp);
    const next = wait === undefined ? 'it stays down' : `next start in ${wait} ms`;
    this.log.warn(`The server ended${reason && `: ${reason}`}; ${next}.`);
    if (wait === undefined) {
      const what = wasUp ? "Redraft's server keeps crashing" : "Redraft's server could not be started";
      return this.fail(`${what}${reason ? `: ${reason}` : '.'}`, RESTART, SHOW_LOG, DOCTOR);
    }
    this.show({ kind: 'restarting', message: `The server ended and is started again. ${reason}`.trim() });
    this.restartTimer = setTimeout(() => void this.start(), wait);
  }

  private async stopNow(): Promise<void> {
    clearTimeout(this.restartTimer);
    const connection = this.connection;
    this.connection = undefined;
    await connection?.stop();
  }

  /** Say that there is no server, once for each reason; the status bar keeps saying it. */
  private missing(message: string): void {
    this.show({ kind: 'missing', message });
    if (this.saidMissing !== message) {
      this.saidMissing = message;
      tell('warning', message, CREATE, SET_PATH);
    }
  }

  private fail(message: string, ...actions: Action[]): void {
    this.log.error(message);
    this.show({ kind: 'error', message });
    tell('error', message, ...actions);
  }

  private show(state: ServerState): void {
    this.current = state;
    this.changed.fire(state);
  }
}
