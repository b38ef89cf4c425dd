import * as vscode from 'vscode';
import type { Server } from './server';
import { view } from './state';
import { isEnabled, isLanguageOff } from './toggle';

interface Entry extends vscode.QuickPickItem {
  command?: string;
  args?: unknown[];
}

/** What a click on the status bar offers. */
export async function showMenu(server: Server): Promise<void> {
  const state = view(server.state).tooltip;
  const title = state.startsWith('Redraft') ? state : `Redraft: ${state}`;
  const chosen = await vscode.window.showQuickPick(entries(server), {
    title,
    placeHolder: 'Choose what to do',
  });
  if (chosen?.command !== undefined) {
    await vscode.commands.executeCommand(chosen.command, ...(chosen.args ?? []));
  }
}

function entries(server: Server): Entry[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const up = server.client !== undefined;
  const separator = { label: '', kind: vscode.QuickPickItemKind.Separator };
  const missing = server.state.kind === 'missing';
  return [
    ...(missing
      ? [{ label: '$(cloud-download) Install the server…', command: 'redraft.createEnvironment' }]
      : []),
    ...(missing
      ? [{ label: '$(folder-opened) Set the path of the server…', command: 'redraft.setPath' }]
      : []),
    ...(up && language
      ? [
          { label: '$(edit) Refactor file…', command: 'redraft.refactorFile' },
          { label: '$(list-selection) Refactor selection…', command: 'redraft.refactorSelection' },
          { label: '$(wrench) Fix this function', command: 'redraft.fix' },
          separator,
        ]
      : []),
    { label: isEnabled() ? '$(debug-pause) Turn off' : '$(play) Turn on', command: 'redraft.toggle' },
    ...(language
      ? [
          {
            label: isLanguageOff(language)
              ? `$(play) Turn on for ${language}`
              : `$(circle-slash) Turn off for ${language}`,
            command: 'redraft.toggleLanguage',
          },
        ]
      : []),
    separator,
    { label: '$(symbol-misc) Choose model…', command: 'redraft.chooseModel' },
    { label: '$(debug-restart) Restart the server', command: 'redraft.restart' },
    { label: '$(output) Show log', command: 'redraft.showLog' },
    { label: '$(pulse) Run doctor', command: 'redraft.doctor' },
    { label: '$(gear) Settings', command: 'workbench.action.openSettings', args: ['redraft.'] },
  ];
}
