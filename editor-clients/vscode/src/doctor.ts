import * as vscode from 'vscode';
import { runToEnd } from './launch';
import { tell } from './messages';
import type { Server } from './server';
import { setting } from './settings';

/** Run `redraft doctor` with the model that is set, and show what it says. */
export async function runDoctor(server: Server, output: vscode.OutputChannel): Promise<void> {
  let launch;
  try {
    launch = server.find();
  } catch (error) {
    tell('error', error instanceof Error ? error.message : String(error));
    return;
  }
  if (launch === undefined) {
    tell('warning', 'Redraft: there is no server to examine.', {
      title: 'Install…',
      command: 'redraft.createEnvironment',
    });
    return;
  }
  output.clear();
  output.show(true);
  output.appendLine(`Server found ${launch.found}: ${launch.command}`);
  output.appendLine(
    `State: ${server.state.kind}${'message' in server.state ? ` (${server.state.message})` : ''}`,
  );
  output.appendLine(`VS Code ${vscode.version}, ${vscode.env.remoteName ?? 'local'}\n`);
  const options = { location: vscode.ProgressLocation.Window, title: 'Redraft doctor' };
  const args = ['doctor', '--backend', setting('backend', 'auto'), '--device', setting('device', 'auto')];
  const model = setting('model', '');
  const { code } = await vscode.window.withProgress(options, () =>
    runToEnd(launch, model === '' ? args : [...args, '--model', model], server.folder, {
      onOutput: (text) => output.append(text),
    }),
  );
  if (code !== 0) {
    tell('warning', 'Redraft doctor found something wrong: see the output.');
  }
}
