import * as vscode from 'vscode';

const SECTION = 'redraft';
/** Settings of this extension alone; the server would warn that it does not know them. */
const OWN = ['server'];

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
  if (typeof section !== 'object' || section === null) {
    return section;
  }
  return Object.fromEntries(Object.entries(section).filter(([name]) => !OWN.includes(name)));
}
