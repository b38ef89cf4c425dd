import * as vscode from 'vscode';
import { isServed } from './languages';
import type { Server } from './server';
import { isLanguageOff } from './toggle';
import { isProblem, view } from './state';

/** What the server is doing, in the status bar: shown beside files it works on, and whenever something is wrong. */
export function createStatusItem(server: Server): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('redraft.status', vscode.StatusBarAlignment.Right, 100);
  item.name = 'Redraft';
  item.command = 'redraft.showMenu';

  const update = (): void => {
    const document = vscode.window.activeTextEditor?.document;
    const language = document && isLanguageOff(document.languageId) ? document.languageId : undefined;
    const { text, tooltip, severity } = view(server.state, language);
    item.text = text;
    item.tooltip = tooltip;
    item.accessibilityInformation = { label: `Redraft: ${tooltip}` };
    item.backgroundColor =
      severity === 'none' ? undefined : new vscode.ThemeColor(`statusBarItem.${severity}Background`);
    if (isProblem(server.state) || (document !== undefined && isServed(document))) {
      item.show();
    } else {
      item.hide();
    }
  };

  update();
  return vscode.Disposable.from(
    item,
    server.onDidChangeState(update),
    vscode.window.onDidChangeActiveTextEditor(update),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration('redraft') && update()),
  );
}
