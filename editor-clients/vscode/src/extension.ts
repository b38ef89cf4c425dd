/** What VS Code calls: puts the parts together, and takes them apart again. */

import * as vscode from 'vscode';
import { runDoctor } from './doctor';
import { fix, refactorFile, refactorSelection } from './edits';
import { createEnvironment, setPath } from './environment';
import { History } from './history';
import { showMenu } from './menu';
import { chooseModel } from './model';
import { Server } from './server';
import { createStatusItem } from './statusItem';
import { toggle, toggleLanguage } from './toggle';

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Redraft', { log: true });
  const report = vscode.window.createOutputChannel('Redraft Doctor');
  const history = new History(context.globalState);
  const running = new Server(context.globalStorageUri.fsPath, log);
  server = running;

  const commands: Record<string, () => unknown> = {
    fix: () => fix(running),
    refactorFile: () => refactorFile(running, history),
    refactorSelection: () => refactorSelection(running, history),
    toggle,
    toggleLanguage,
    chooseModel: () => chooseModel(context.globalState),
    restart: () => running.restart(),
    showLog: () => log.show(),
    doctor: () => runDoctor(running, report),
    createEnvironment: () => createEnvironment(running, log),
    setPath,
    showMenu: () => showMenu(running),
  };
  context.subscriptions.push(
    log,
    report,
    running,
    createStatusItem(running),
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`redraft.${name}`, run)),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('redraft.server.path')) {
        void running.restart();
      }
    }),
  );
  void running.start(); // activation does not wait for it
}

/** The window is closing: VS Code waits for the server's end. */
export async function deactivate(): Promise<void> {
  await server?.stop();
  server = undefined;
}
