import * as vscode from 'vscode';
import type { History } from './history';

interface Item extends vscode.QuickPickItem {
  instruction?: string;
}

const FORGET: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('close'), tooltip: 'Forget' };

/** Ask for an instruction: free text, one of the presets, or one given before. Undefined if the user left. */
export function askInstruction(
  title: string,
  history: History,
  presets: Promise<readonly string[]>,
): Promise<string | undefined> {
  const pick = vscode.window.createQuickPick<Item>();
  pick.title = title;
  pick.ignoreFocusOut = true; // the code may be looked at meanwhile
  pick.placeholder = 'What to change, such as: use `is None` instead of `== None`';
  let known: readonly string[] = [];
  let open = true;
  const update = (): void => {
    pick.items = items(pick.value, history.all(), known);
  };
  void presets.then((found) => {
    known = found;
    if (open) {
      update();
    }
  });
  return new Promise((resolve) => {
    pick.onDidChangeValue(update);
    pick.onDidTriggerItemButton(async ({ item }) => {
      await history.remove(item.instruction ?? '');
      update();
    });
    pick.onDidAccept(() => {
      resolve(pick.selectedItems[0]?.instruction ?? (pick.value.trim() || undefined));
      pick.hide();
    });
    pick.onDidHide(() => {
      open = false;
      resolve(undefined);
      pick.dispose();
    });
    update();
    pick.show();
  });
}

/** What is typed comes first, so that Enter takes it even where an older instruction contains it. */
export function items(typed: string, old: readonly string[], presets: readonly string[]): Item[] {
  const list: Item[] = [];
  if (typed.trim() !== '') {
    list.push({ label: typed, instruction: typed.trim(), description: 'as typed', alwaysShow: true });
  }
  const given = old.filter((instruction) => !same(instruction, typed));
  if (given.length > 0) {
    list.push({ label: 'given before', kind: vscode.QuickPickItemKind.Separator });
    list.push(...given.map((instruction) => ({ label: instruction, instruction, buttons: [FORGET] })));
  }
  const fresh = presets.filter((preset) => ![typed, ...old].some((instruction) => same(instruction, preset)));
  if (fresh.length > 0) {
    list.push({ label: 'presets', kind: vscode.QuickPickItemKind.Separator });
    list.push(...fresh.map((instruction) => ({ label: instruction, instruction })));
  }
  return list;
}

function same(one: string, other: string): boolean {
  return one.trim().toLowerCase() === other.trim().toLowerCase();
}
