import * as vscode from 'vscode';
import { change, setting } from './settings';

const KEY = 'redraft.models';
const KEPT = 5;

interface Item extends vscode.QuickPickItem {
  folder?: string;
}

/** Let the user choose the model: the one in the box, one used before, or a folder. The server loads it at once. */
export async function chooseModel(store: vscode.Memento): Promise<void> {
  const current = setting('model', '');
  const used = store.get<string[]>(KEY, []);
  const known = [...new Set([...(current === '' ? [] : [current]), ...used])];
  const mark = (folder: string): { description?: string } =>
    folder === current ? { description: 'in use' } : {};
  const items: Item[] = [
    { label: '$(package) The embedded model', folder: '', ...mark('') },
    ...known.map((folder) => ({ label: `$(folder) ${folder}`, folder, ...mark(folder) })),
    { label: '$(folder-opened) Choose a folder…' },
  ];
  const chosen = await vscode.window.showQuickPick(items, {
    title: 'Redraft: Choose Model',
    placeHolder: 'A checkpoint folder (config.json, model.safetensors, tokenizer.json)',
  });
  if (chosen === undefined) {
    return;
  }
  const folder = chosen.folder ?? (await askFolder());
  if (folder === undefined) {
    return;
  }
  if (folder !== '') {
    await store.update(KEY, [folder, ...used.filter((item) => item !== folder)].slice(0, KEPT));
  }
  await change('model', folder);
}

async function askFolder(): Promise<string | undefined> {
  const options = {
    canSelectFiles: false,
    canSelectFolders: true,
    title: 'A model’s folder',
    openLabel: 'Use',
  };
  return (await vscode.window.showOpenDialog(options))?.[0]?.fsPath;
}
