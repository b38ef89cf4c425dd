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

  // The file is measured when it comes into view, not at each change of state: one follows every key.
  let document: vscode.TextDocument | undefined;
  let leftAlone: string | undefined;
  const look = (): void => {
    document = vscode.window.activeTextEditor?.document;
    leftAlone = document && whyLeftAlone(document);
    update();
  };
  const update = (): void => {
    const { text, tooltip, severity } = view(server.state, leftAlone);
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

  look();
  return vscode.Disposable.from(
    item,
    server.onDidChangeState(update),
    vscode.window.onDidChangeActiveTextEditor(look),
    vscode.workspace.onDidOpenTextDocument(look), // a document whose language is changed is opened anew
    vscode.workspace.onDidSaveTextDocument((saved) => saved === document && look()),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration('redraft') && look()),
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
