/** How the server and the other subcommands are started. Plain Node: no VS Code API, so that it can be tested. */

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

/** What comes before a subcommand, and where that was found, in words for people. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly found: string;
}

/** A Python that has the server installed. `-I`: nothing is imported from the current folder or `PYTHONPATH`. */
export function pythonLaunch(python: string, found: string): Launch {
  return { command: python, args: ['-I', '-m', 'lsp_server'], found };
}

export function commandLaunch(command: string, found: string): Launch {
  return { command, args: [], found };
}

/**
 * The environment of a command whose Python is not known, so that `-I` cannot be given: without what would
 * bring the workspace's packages in.
 */
export function isolatedEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const clean: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(env)) {
    if (!['PYTHONPATH', 'PYTHONHOME', 'PYTHONSTARTUP', 'PYTHONINSPECT', 'VIRTUAL_ENV'].includes(name)) {
      clean[name] = value;
    }
  }
  // No workspace folder on the module path, and text on pipes is UTF-8 on Windows too.
  return { ...clean, PYTHONSAFEPATH: '1', PYTHONUTF8: '1' };
}

/** Start `launch` with more arguments. `cwd` is a folder of the extension's own, never the workspace. */
export function start(launch: Launch, args: readonly string[], cwd: string): ChildProcessWithoutNullStreams {
  const script = process.platform === 'win32' && /\.(cmd|bat)$/i.test(launch.command);
  return spawn(script ? `"${launch.command}"` : launch.command, [...launch.args, ...args], {
    cwd,
    env: isolatedEnvironment(),
    shell: script, // Node starts batch files through a shell only
    windowsHide: true,
  });
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Run a program to its end and collect what it says; `signal` ends it. A program that is missing has code null. */
export function runToEnd(
  launch: Launch,
  args: readonly string[],
  cwd: string,
  options: { signal?: AbortSignal; onOutput?: (text: string) => void } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = start(launch, args, cwd);
    let output = '';
    const hear = (text: string): void => {
      output += text;
      options.onOutput?.(text);
    };
    const kill = (): void => void child.kill();
    options.signal?.addEventListener('abort', kill);
    child.stdin.on('error', () => undefined).end();
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.on('error', (error) => hear(`${error.message}\n`));
    child.on('close', (code) => {
      options.signal?.removeEventListener('abort', kill);
      resolve({ code, output });
    });
  });
}
