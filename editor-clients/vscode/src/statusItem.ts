import * as vscode from 'vscode';
import { isServed } from './languages';
import type { Server } from './server';
import { setting } from './settings';
import { isProblem, view } from './state';
import { isLanguageOff } from './toggle';

/** What the server is doing, in the status bar: shown beside files it works on, and whenever something is wrong. */
export function createStatusItem(server: Server): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('redraft.status', vscode.StatusBarAlignment.Right, 100);
  item.name = 'Redraft';
  item.command = 'redraft.showMenu';

  const update = (): void => {
    const document = vscode.window.activeTextEditor?.document;
    const { text, tooltip, severity } = view(server.state, document && whyLeftAlone(document));
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

/** What the server would answer, which is asked only when there is something to do. */
function whyLeftAlone(document: vscode.TextDocument): string | undefined {
  if (isLanguageOff(document.languageId)) {
    return `Redraft is off for ${document.languageId}.`;
  }
  const limit = setting('limits.maxFileBytes', 1_000_000);
  return isServed(document) && Buffer.byteLength(document.getText()) > limit
    ? `Redraft leaves this file alone: it has more than ${limit} bytes (setting redraft.limits.maxFileBytes).`
    : undefined;
}
