/** Runs a refactoring: watched, so that every step can be shown, or as the server's command. */

import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { LivePreview } from './livePreview';
import { tell } from './messages';
import {
  FIX,
  REFACTOR_FILE,
  REFACTOR_SELECTION,
  runWithProgress,
  withProgress,
  type Outcome,
} from './progress';
import { rebase, type Change, type Range } from './rebase';
import { setting } from './settings';
import { isUnknownMethod, watch, type Answer } from './watch';

/** An edit is offered again when the document changed while the user looked at it. */
const ATTEMPTS = 3;

interface Argument {
  uri: string;
  version?: number;
  instruction?: string;
  range?: unknown;
}

/** Run one of the server's commands; those that only take note of something go by `next`. */
export async function runCommand(
  client: LanguageClient,
  command: string,
  args: unknown[],
  next: (command: string, args: unknown[]) => vscode.ProviderResult<unknown>,
): Promise<unknown> {
  const long = [FIX, REFACTOR_FILE, REFACTOR_SELECTION].includes(command);
  return long ? runLong(client, command, args[0] as Argument) : next(command, args);
}

/** A fix or a refactoring. The outcome, or undefined where it failed; the user has been told why. */
export async function runLong(
  client: LanguageClient,
  command: string,
  argument: Argument,
): Promise<Pick<Outcome, 'applied'> | undefined> {
  const uri = client.protocol2CodeConverter.asUri(argument.uri).toString();
  const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri);
  if (command === FIX || document === undefined || !setting('refactor.livePreview', true)) {
    return runWithProgress(client, command, argument);
  }
  const run = new WatchedRefactoring(client, document);
  try {
    return await run.run({ version: document.version, instruction: '', ...argument });
  } catch (error) {
    if (!isUnknownMethod(error)) {
      throw error;
    }
    return await runWithProgress(client, command, argument); // an older server
  } finally {
    run.dispose();
  }
}

class WatchedRefactoring implements vscode.Disposable {
  private readonly changes: Change[][] = [];
  private readonly regions = new Map<number, Range>();
  private readonly preview: LivePreview;
  private readonly listener: vscode.Disposable;

  constructor(
    private readonly client: LanguageClient,
    private readonly document: vscode.TextDocument,
  ) {
    this.preview = new LivePreview(document);
    this.listener = vscode.workspace.onDidChangeTextDocument((event) => {
      if (event.document === document && event.contentChanges.length > 0) {
        this.changes.push([...event.contentChanges]);
      }
    });
  }

  dispose(): void {
    this.preview.dispose();
    this.listener.dispose();
  }

  /** Rejects only where the server does not know the request. */
  async run(
    argument: Required<Omit<Argument, 'range'>> & Argument,
  ): Promise<{ applied: boolean } | undefined> {
    let unknown: unknown;
    const answer = await withProgress(this.client, (workDoneToken) =>
      watch(this.client, { ...argument, workDoneToken }, ({ frames }) => {
        frames.forEach((frame) => this.regions.set(frame.region, frame.range));
        this.preview.show(frames);
      }).catch((error: unknown) => {
        if (!isUnknownMethod(error)) {
          throw error;
        }
        unknown = error;
        return undefined;
      }),
    );
    this.preview.dispose();
    if (unknown !== undefined) {
      throw unknown;
    }
    if (answer === undefined) {
      return undefined;
    }
    if (answer.status !== 'offered') {
      sayWhyNot(answer);
      return { applied: false };
    }
    return { applied: await this.apply(answer, argument.instruction) };
  }

  /** Offer the edits, moved along with what was typed since they were asked for. */
  private async apply(answer: Answer, instruction: string): Promise<boolean> {
    const regions = [...this.regions.values()].filter((region) =>
      answer.edits.some(({ range }) => covers(region, range)),
    );
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (this.document.isClosed) {
        tell('warning', 'Redraft: the document was closed meanwhile.');
        return false;
      }
      const edits = rebase(answer.edits, regions, this.changes);
      if (edits === undefined) {
        tell('warning', 'Redraft: the code was changed meanwhile, so the result no longer fits; ask again.');
        return false;
      }
      const version = this.document.version;
      if (await vscode.workspace.applyEdit(this.edit(edits, instruction))) {
        return true;
      }
      if (this.document.version === version) {
        if (needsConfirmation()) {
          return false; // the user looked at the preview and left it
        }
        break;
      }
    }
    tell('warning', 'Redraft: the editor did not apply the edit.');
    return false;
  }

  private edit(edits: Answer['edits'], instruction: string): vscode.WorkspaceEdit {
    const edit = new vscode.WorkspaceEdit();
    const label = `Redraft: ${instruction}`;
    for (const { range, newText } of edits) {
      edit.replace(this.document.uri, this.client.protocol2CodeConverter.asRange(range), newText, {
        label,
        description: 'Redraft',
        needsConfirmation: needsConfirmation(),
      });
    }
    return edit;
  }
}

function needsConfirmation(): boolean {
  return setting('refactor.needsConfirmation', true);
}

/** Say why there is no edit; a user who cancelled knows. */
function sayWhyNot({ status, message }: Answer): void {
  if (status !== 'stopped' || message.toLowerCase().includes('out of time')) {
    tell('info', `Redraft: ${message || 'nothing to change.'}`);
  }
}

function covers(outer: Range, inner: Range): boolean {
  const starts = outer.start.line - inner.start.line || outer.start.character - inner.start.character;
  const ends = inner.end.line - outer.end.line || inner.end.character - outer.end.character;
  return starts <= 0 && ends <= 0;
}
