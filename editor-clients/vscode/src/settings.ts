import * as vscode from 'vscode';

const SECTION = 'redraft';
/** Settings of this extension alone; the server would warn that it does not know them. */
const OWN = ['server'];
const OWN_OF_REFACTOR = ['livePreview'];

export function setting<T>(name: string, fallback: T): T {
  return vscode.workspace.getConfiguration(SECTION).get<T>(name, fallback);
}

/** Change a setting where it is set already, the narrowest place first, and for the user where it is not. */
export async function change(name: string, value: unknown): Promise<void> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const where = configuration.inspect(name);
  const target =
    where?.workspaceFolderValue !== undefined
      ? vscode.ConfigurationTarget.WorkspaceFolder
      : where?.workspaceValue !== undefined
        ? vscode.ConfigurationTarget.Workspace
        : vscode.ConfigurationTarget.Global;
  await configuration.update(name, value, target);
}

/** What `workspace/configuration` answers: the section without the settings that are not the server's. */
export function forServer(section: unknown): unknown {
  const theirs = without(section, OWN);
  return isObject(theirs) ? { ...theirs, refactor: without(theirs['refactor'], OWN_OF_REFACTOR) } : theirs;
}

function without(section: unknown, names: readonly string[]): unknown {
  return isObject(section)
    ? Object.fromEntries(Object.entries(section).filter(([name]) => !names.includes(name)))
    : section;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
