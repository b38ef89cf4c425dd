/** The commands that have the server edit the active editor: a fix, and refactorings by an instruction. */

import * as vscode from 'vscode';
import { CodeActionKind, CodeActionRequest, type Range } from 'vscode-languageclient/node';
import type { History } from './history';
import { askInstruction } from './instruction';
import { isServed } from './languages';
import { tell } from './messages';
import { FIX, REFACTOR_FILE, REFACTOR_SELECTION } from './progress';
import { runLong } from './refactor';
import type { Server } from './server';
import { setting } from './settings';
import { isProblem, view } from './state';

export async function fix(server: Server): Promise<void> {
  const editor = usableEditor(server);
  if (editor !== undefined) {
    await run(server, editor, FIX, { range: rangeOf(editor.selection) });
  }
}

export async function refactorFile(server: Server, history: History): Promise<void> {
  const editor = usableEditor(server);
  const presets = editor && presetsFor(server, editor.document);
  const instruction = presets && (await askInstruction('Redraft: Refactor File', history, presets));
  if (instruction !== undefined) {
    await history.add(instruction);
    await run(server, editor, REFACTOR_FILE, { instruction });
  }
}

export async function refactorSelection(server: Server, history: History): Promise<void> {
  const editor = usableEditor(server);
  if (editor?.selection.isEmpty) {
    tell('info', 'Redraft: select the code to refactor first.');
    return;
  }
  const range = editor && rangeOf(editor.selection);
  const presets = editor && presetsFor(server, editor.document, editor.selection);
  const instruction = presets && (await askInstruction('Redraft: Refactor Selection', history, presets));
  if (instruction !== undefined) {
    await history.add(instruction);
    await run(server, editor, REFACTOR_SELECTION, { instruction, range });
  }
}

/** The user's own presets; without any, what the server's code actions offer for a range, by default the document. */
async function presetsFor(
  { client }: Server,
  document: vscode.TextDocument,
  range = new vscode.Range(0, 0, document.lineCount, 0),
): Promise<string[]> {
  const own = setting<string[]>('refactor.presets', []);
  if (own.length > 0 || client === undefined) {
    return own;
  }
  const params = {
    textDocument: client.code2ProtocolConverter.asTextDocumentIdentifier(document),
    range: rangeOf(range),
    context: { diagnostics: [], only: [CodeActionKind.RefactorRewrite] },
  };
  const found = (await client.sendRequest(CodeActionRequest.type, params).catch(() => null)) ?? [];
  return found.flatMap((action) => {
    const command = typeof action.command === 'object' ? action.command : undefined;
    const argument = command?.arguments?.[0] as { instruction?: string } | undefined;
    return argument?.instruction === undefined ? [] : [argument.instruction];
  });
}

async function run(
  server: Server,
  editor: vscode.TextEditor | undefined,
  command: string,
  what: Record<string, unknown>,
): Promise<void> {
  const client = server.client;
  if (client === undefined || editor === undefined) {
    tell('warning', 'Redraft: the server is not running.');
    return;
  }
  const uri = client.code2ProtocolConverter.asUri(editor.document.uri);
  const before = editor.document.version;
  const outcome = await runLong(client, command, { uri, ...what });
  // In the preview the user may apply some edits, or none: how many it were is not told.
  if (outcome?.applied && editor.document.version !== before) {
    vscode.window.setStatusBarMessage('Redraft: applied.', 5_000);
  }
}

/** The active editor, if the server can work on it; the user is told why not. */
function usableEditor(server: Server): vscode.TextEditor | undefined {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined || !isServed(editor.document)) {
    tell('info', 'Redraft: open a file of a supported language first.');
    return undefined;
  }
  if (vscode.workspace.fs.isWritableFileSystem(editor.document.uri.scheme) === false) {
    tell('info', 'Redraft: this file is read-only.');
    return undefined;
  }
  if (server.client === undefined) {
    tell('warning', `Redraft: ${view(server.state).tooltip}`, {
      title: isProblem(server.state) ? 'What to Do' : 'Restart',
      command: isProblem(server.state) ? 'redraft.showMenu' : 'redraft.restart',
    });
    return undefined;
  }
  return editor;
}

function rangeOf({ start, end }: vscode.Range): Range {
  return {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
}
