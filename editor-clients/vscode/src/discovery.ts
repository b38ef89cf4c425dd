/** Finds the server. Plain Node: no VS Code API, so that it can be tested. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { commandLaunch, pythonLaunch, type Launch } from './launch';

const WINDOWS = process.platform === 'win32';

/** The server could not be found where a setting says it is; the message is for people. */
export class WrongPathError extends Error {}

/**
 * The server, or undefined if there is none: where the setting `redraft.server.path` says, on PATH, or in the
 * extension's own environment. Throws WrongPathError when the setting names nothing that can be run.
 */
export function findServer(
  configured: string,
  ownEnvironment: string,
  env: NodeJS.ProcessEnv = process.env,
): Launch | undefined {
  if (configured.trim() !== '') {
    return fromSetting(expandHome(configured.trim()), env);
  }
  const onPath = which('redraft', env);
  if (onPath !== undefined) {
    return launchOf(onPath, 'on PATH');
  }
  const own = pythonIn(ownEnvironment);
  return own === undefined ? undefined : pythonLaunch(own, "in the extension's own environment");
}

function fromSetting(given: string, env: NodeJS.ProcessEnv): Launch {
  const found = 'by the setting redraft.server.path';
  if (!given.includes('/') && !given.includes(path.sep)) {
    const file = which(given, env);
    if (file === undefined) {
      throw new WrongPathError(`redraft.server.path is "${given}", and there is no such command on PATH.`);
    }
    return launchOf(file, found);
  }
  if (!path.isAbsolute(given)) {
    throw new WrongPathError(
      `redraft.server.path is "${given}": write the whole path, or a command on PATH.`,
    );
  }
  if (isFolder(given)) {
    const python = pythonIn(given) ?? pythonIn(path.join(given, '.venv'));
    if (python === undefined) {
      throw new WrongPathError(`redraft.server.path is "${given}", a folder without a Python environment.`);
    }
    return pythonLaunch(python, found);
  }
  if (!isProgram(given)) {
    throw new WrongPathError(`redraft.server.path is "${given}", which is not a program that can be run.`);
  }
  return launchOf(given, found);
}

/**
 * A Python is started isolated with the server's module. So is the Python behind a `redraft` that pip, pipx or uv
 * wrote; any other command is started as it is.
 */
function launchOf(file: string, found: string): Launch {
  if (/^python[\d.]*(\.exe)?$/i.test(path.basename(file))) {
    return pythonLaunch(file, found);
  }
  const python = pythonBehind(file);
  return python === undefined ? commandLaunch(file, found) : pythonLaunch(python, found);
}

/** The Python that a console script runs with; undefined where `file` is something else. */
export function pythonBehind(file: string): string | undefined {
  let text: string;
  try {
    file = fs.realpathSync(file); // pipx and uv link to the script in its environment
    text = fs.readFileSync(file, 'utf8').slice(0, 4096);
  } catch {
    return undefined;
  }
  if (WINDOWS && file.endsWith('.exe')) {
    const sibling = path.join(path.dirname(file), 'python.exe');
    return isProgram(sibling) && fs.existsSync(path.join(file, '..', '..', 'pyvenv.cfg'))
      ? sibling
      : undefined;
  }
  if (!/\bfrom lsp_server\.cli import main\b/.test(text)) {
    return undefined;
  }
  // `#!/path/python`, or where that is long or has a space: `#!/bin/sh` and `'''exec' "/path/python" "$0" …`
  const python = /^#!(\/.*python[\d.]*)\s*$/m.exec(text)?.[1] ?? /^'''exec' "?(.+?)"? "\$0"/m.exec(text)?.[1];
  // Only in an environment: `-I` would hide what `pip install --user` has installed.
  const inEnvironment = python !== undefined && path.dirname(python) === path.dirname(file);
  return inEnvironment && isProgram(python) ? python : undefined;
}

/** The Python of an environment folder. */
export function pythonIn(environment: string): string | undefined {
  const python = WINDOWS
    ? path.join(environment, 'Scripts', 'python.exe')
    : path.join(environment, 'bin', 'python');
  return isProgram(python) ? python : undefined;
}

/** A command on PATH. Relative entries are passed over: they would mean the workspace. */
export function which(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const value = Object.entries(env).find(([key]) => (WINDOWS ? key.toUpperCase() : key) === 'PATH')?.[1];
  const endings = WINDOWS ? ['.exe', '.cmd', '.bat'] : [''];
  for (const folder of (value ?? '').split(path.delimiter).filter((entry) => path.isAbsolute(entry))) {
    for (const ending of endings) {
      const file = path.join(folder, name + ending);
      if (isProgram(file)) {
        return file;
      }
    }
  }
  return undefined;
}

export function expandHome(given: string): string {
  return given === '~' || given.startsWith('~/') ? path.join(os.homedir(), given.slice(1)) : given;
}

function isProgram(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function isFolder(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
