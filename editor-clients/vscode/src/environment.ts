/** The extension's own environment for the server: made when the user agrees, in the extension's storage. */

import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { expandHome, pythonIn } from './discovery';
import { pythonLaunch, runToEnd, type Launch } from './launch';
import { SHOW_LOG, tell } from './messages';
import { findPython, OLDEST_PYTHON } from './python';
import type { Server } from './server';
import { change, setting } from './settings';

type Progress = vscode.Progress<{ message?: string }>;

/** A step failed; the message is for people. */
class StepError extends Error {}

/** Ask, make the environment, and start the server from it. */
export async function createEnvironment(server: Server, log: vscode.LogOutputChannel): Promise<void> {
  const requirement = setting('server.requirement', '').trim() || (await askRequirement());
  if (requirement === undefined || !(await agreed(requirement, server.environment))) {
    return;
  }
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: 'Redraft: installing the server',
    cancellable: true,
  };
  const done = await vscode.window.withProgress(options, (progress, cancel) => {
    const abort = new AbortController();
    cancel.onCancellationRequested(() => abort.abort());
    return install(expandHome(requirement), server, log, progress, abort.signal);
  });
  await (done ? server.restart() : server.start());
}

/** True if the environment is whole. What is left of a failed one is removed. */
async function install(
  requirement: string,
  server: Server,
  log: vscode.LogOutputChannel,
  progress: Progress,
  signal: AbortSignal,
): Promise<boolean> {
  const run = async (message: string, launch: Launch, args: string[]): Promise<void> => {
    progress.report({ message });
    log.info(`${message}: ${[launch.command, ...launch.args, ...args].join(' ')}`);
    const ended = await runToEnd(launch, args, server.folder, {
      signal,
      onOutput: (text) => log.info(text.trimEnd()),
    });
    if (ended.code !== 0) {
      throw new StepError(`${message} failed: ${ended.output.trim().split('\n').at(-1) ?? 'no output'}`);
    }
  };
  try {
    await fs.mkdir(server.folder, { recursive: true });
    await server.stop(); // Windows cannot remove the files of a program that runs
    await fs.rm(server.environment, { recursive: true, force: true });
    const python = await pythonOrExplain(server.folder);
    await run('making an environment', python, ['-m', 'venv', server.environment]);
    const own: Launch = { command: pythonIn(server.environment) ?? '', args: ['-I'], found: '' };
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--', requirement];
    await run('installing packages', own, pip);
    await run('trying the server', pythonLaunch(own.command, ''), ['--version']);
    return true;
  } catch (error) {
    await fs.rm(server.environment, { recursive: true, force: true });
    if (!signal.aborted) {
      const message = error instanceof Error ? error.message : String(error);
      tell('error', `Redraft: ${message}`, SHOW_LOG, {
        title: 'Try Again',
        command: 'redraft.createEnvironment',
      });
    }
    return false;
  }
}

async function pythonOrExplain(cwd: string): Promise<Launch> {
  const { python, rejected } = await findPython(expandHome(setting('server.python', '').trim()), cwd);
  if (python === undefined) {
    const found = rejected.length > 0 ? ` Found: ${rejected.join('; ')}.` : '';
    throw new StepError(
      `the server needs Python ${OLDEST_PYTHON.join('.')} or newer with venv, and there is none on PATH.${found} ` +
        'Install it (Debian, Ubuntu: apt install python3 python3-venv), or name one by the setting ' +
        'redraft.server.python.',
    );
  }
  return python;
}

async function askRequirement(): Promise<string | undefined> {
  const folder = { label: '$(folder-opened) A folder with Redraft’s source or a wheel…' };
  const typed = { label: '$(edit) A requirement, as pip takes it…' };
  const title = 'Redraft: where should the server be installed from?';
  const chosen = await vscode.window.showQuickPick([folder, typed], { title });
  if (chosen === typed) {
    return vscode.window.showInputBox({
      title,
      prompt: 'A path, an address or a package, such as /path/to/redraft',
    });
  }
  if (chosen === folder) {
    const options = { canSelectFiles: true, canSelectFolders: true, openLabel: 'Install', title };
    return (await vscode.window.showOpenDialog(options))?.[0]?.fsPath;
  }
  return undefined;
}

async function agreed(requirement: string, environment: string): Promise<boolean> {
  const detail =
    `pip installs ${requirement} and what it needs (about 260 MB) into an environment of this extension's own:\n` +
    `${path.normalize(environment)}\nNothing else on this machine is changed.`;
  const yes = 'Install';
  return (
    (await vscode.window.showInformationMessage(
      'Install Redraft’s server?',
      { modal: true, detail },
      yes,
    )) === yes
  );
}

/** Let the user name a server that is installed already. */
export async function setPath(): Promise<void> {
  const value = await vscode.window.showInputBox({
    title: 'Redraft: Set Path of the Server',
    value: setting('server.path', ''),
    prompt: 'The command `redraft`, the Python it is installed for, or the folder of its environment',
    placeHolder: '/path/to/redraft/.venv/bin/python',
    ignoreFocusOut: true,
  });
  if (value !== undefined) {
    await change('server.path', value.trim());
  }
}
