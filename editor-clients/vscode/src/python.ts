/** Finds a Python that can run the server. Plain Node: no VS Code API, so that it can be tested. */

import { which } from './discovery';
import { runToEnd, type Launch } from './launch';

export const OLDEST_PYTHON: readonly [number, number] = [3, 11];
const NAMES = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python', 'py'];
/** Says the version, and fails where `venv` is missing (Debian packs it apart). */
const PROBE = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';

export interface Found {
  /** A Python that will do. */
  python?: Launch;
  /** What else was found, and why it will not do. */
  rejected: string[];
}

/** The first Python on PATH (or `given`) that is new enough and can make environments. */
export async function findPython(given: string, cwd: string): Promise<Found> {
  const rejected: string[] = [];
  for (const name of given === '' ? NAMES : [given]) {
    const command = given === '' ? which(name) : given;
    if (command === undefined) {
      continue;
    }
    const python: Launch = { command, args: name === 'py' ? ['-3', '-I'] : ['-I'], found: name };
    const { code, output } = await runToEnd(python, ['-c', PROBE], cwd);
    const why = code === 0 ? tooOld(output.trim()) : 'it has no venv or does not run';
    if (why === '') {
      return { python, rejected };
    }
    rejected.push(`${command}: ${why}`);
  }
  return { rejected };
}

/** Why a Python of this version will not do; empty if it will. */
export function tooOld(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fine = major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
  return fine ? '' : `version ${version} is too old`;
}
