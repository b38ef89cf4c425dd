/** Runs the server's commands that take time; of a refactoring every step is shown. */

import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { LivePreview } from './livePreview';
import { FIX, REFACTOR_FILE, REFACTOR_SELECTION, runWithProgress, type Outcome } from './progress';
import { setting } from './settings';
import { unwatch, watch } from './watch';

/** A command of a key binding may come without one: the server says what it needs. */
interface Argument {
  uri: string;
}

/** Run one of the server's commands; those that only take note of something go by `next`. */
export async function runCommand(
  client: LanguageClient,
  command: string,
  args: unknown[],
  next: (command: string, args: unknown[]) => vscode.ProviderResult<unknown>,
): Promise<unknown> {
  const long = [FIX, REFACTOR_FILE, REFACTOR_SELECTION].includes(command);
  return long ? runLong(client, command, args[0] as Argument | undefined) : next(command, args);
}

/** A fix or a refactoring. The outcome, or undefined where it failed; the user has been told why. */
export async function runLong(
  client: LanguageClient,
  command: string,
  argument: Argument | undefined,
): Promise<Outcome | undefined> {
  const document = vscode.workspace.textDocuments.find(
    (each) => client.code2ProtocolConverter.asUri(each.uri) === argument?.uri,
  );
  if (command === FIX || document === undefined || !setting('refactor.livePreview', true)) {
    return runWithProgress(client, command, argument);
  }
  const preview = new LivePreview(document);
  const token = watch(({ frames }) => preview.show(frames));
  try {
    return await runWithProgress(client, command, { ...argument, token }, () => preview.dispose());
  } finally {
    unwatch(token);
    preview.dispose();
  }
}
