import * as vscode from 'vscode';

/** A button of a message, and the command behind it. */
export interface Action {
  title: string;
  command: string;
}

export const SHOW_LOG: Action = { title: 'Show Log', command: 'redraft.showLog' };
export const DOCTOR: Action = { title: 'Run Doctor', command: 'redraft.doctor' };
export const RESTART: Action = { title: 'Restart', command: 'redraft.restart' };

type Kind = 'info' | 'warning' | 'error';

/** The same words are not shown again within this time: the server says some things in two ways. */
const ONCE_MS = 3_000;
let last = { text: '', at: 0 };

/** Show a message, without waiting for an answer; a button runs its command. */
export function tell(kind: Kind, text: string, ...actions: Action[]): void {
  const now = Date.now();
  const said = text.replace(/^Redraft: /, '');
  if (said === last.text && now - last.at < ONCE_MS) {
    return;
  }
  last = { text: said, at: now };
  const show = {
    info: vscode.window.showInformationMessage,
    warning: vscode.window.showWarningMessage,
    error: vscode.window.showErrorMessage,
  }[kind];
  void show(text, ...actions).then((chosen) => chosen && vscode.commands.executeCommand(chosen.command));
}
