/** Shows in the editor what a refactoring is doing: decorations only, the document stays as it is. */

import * as vscode from 'vscode';
import { canvasText, lineChanges } from './canvas';
import type { Frame } from './watch';

/** Steps may come faster than anybody can see. */
const PAUSE_MS = 100;
const SHOWN = 100;

/** Regions that are being denoised. */
const REGION = {
  isWholeLine: true,
  backgroundColor: new vscode.ThemeColor('editor.rangeHighlightBackground'),
  overviewRulerColor: new vscode.ThemeColor('editorOverviewRuler.rangeHighlightForeground'),
  overviewRulerLane: vscode.OverviewRulerLane.Center,
};
/** What would go; behind the line stands what would come. */
const CHANGE = {
  backgroundColor: new vscode.ThemeColor('diffEditor.removedTextBackground'),
  overviewRulerColor: new vscode.ThemeColor('editorOverviewRuler.modifiedForeground'),
  overviewRulerLane: vscode.OverviewRulerLane.Left,
};
const BECOMES = {
  color: new vscode.ThemeColor('editorGhostText.foreground'),
  fontStyle: 'italic',
  margin: '0 0 0 2ch',
};

/** How one line is shown that would change. */
interface Shown {
  gone: vscode.DecorationOptions;
  behind: vscode.DecorationOptions;
}

/** From its first step until it is disposed, or the document changes: what is shown would no longer fit. */
export class LivePreview implements vscode.Disposable {
  private readonly region = vscode.window.createTextEditorDecorationType(REGION);
  private readonly change = vscode.window.createTextEditorDecorationType(CHANGE);
  private readonly behind = vscode.window.createTextEditorDecorationType({});
  private readonly frames = new Map<number, Frame>();
  private readonly shown = new WeakMap<Frame, Shown[]>();
  private readonly subscriptions: vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private over = false;

  constructor(private readonly document: vscode.TextDocument) {
    this.subscriptions = [
      this.region,
      this.change,
      this.behind,
      vscode.window.onDidChangeVisibleTextEditors(() => this.draw()),
      vscode.window.onDidChangeTextEditorVisibleRanges(() => this.drawSoon()),
      vscode.workspace.onDidChangeTextDocument((event) => {
        if (event.document === document && event.contentChanges.length > 0) {
          this.dispose();
        }
      }),
    ];
  }

  show(frames: readonly Frame[]): void {
    for (const frame of frames) {
      this.frames.set(frame.region, frame);
    }
    this.drawSoon();
  }

  dispose(): void {
    this.over = true;
    clearTimeout(this.timer);
    vscode.Disposable.from(...this.subscriptions.splice(0)).dispose();
  }

  private drawSoon(): void {
    this.timer ??= this.over ? undefined : setTimeout(() => this.draw(), PAUSE_MS);
  }

  private draw(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.over) {
      return;
    }
    const frames = [...this.frames.values()];
    const active = frames.filter((frame) => !frame.finished).map(({ range }) => rangeOf(range));
    const gone = frames.flatMap((frame) => this.changes(frame).map((change) => change.gone));
    for (const editor of vscode.window.visibleTextEditors) {
      if (editor.document === this.document) {
        editor.setDecorations(this.region, active);
        editor.setDecorations(
          this.change,
          gone.filter(({ range }) => !range.isEmpty),
        );
        editor.setDecorations(this.behind, this.behindLines(editor, frames));
      }
    }
  }

  /** Only of lines in sight: each is a style of its own. */
  private behindLines(editor: vscode.TextEditor, frames: readonly Frame[]): vscode.DecorationOptions[] {
    const isSeen = (range: vscode.Range): boolean =>
      editor.visibleRanges.some((seen) => seen.intersection(range) !== undefined);
    return frames
      .filter((frame) => isSeen(rangeOf(frame.range)))
      .flatMap((frame) => this.changes(frame).map((change) => change.behind));
  }

  private changes(frame: Frame): Shown[] {
    const found = this.shown.get(frame) ?? this.changesOf(frame);
    this.shown.set(frame, found);
    return found;
  }

  private changesOf(frame: Frame): Shown[] {
    const where = rangeOf(frame.range);
    const lines = this.document.getText(where).split(/\r\n|\n/);
    const canvas = canvasText(frame.cells);
    const hoverMessage = new vscode.MarkdownString('Redraft is rewriting this:').appendCodeblock(
      canvas,
      this.document.languageId,
    );
    return lineChanges(lines, canvas).map(({ line, from, to, becomes }) => {
      const first = line === 0 ? where.start.character : 0;
      const at = where.start.line + line;
      const end = this.document.lineAt(at).range.end;
      const text = becomes.length > SHOWN ? `${becomes.slice(0, SHOWN - 1)}…` : becomes;
      const after = { ...BECOMES, contentText: text === '' ? '' : `→ ${text}` };
      return {
        gone: { range: new vscode.Range(at, first + from, at, first + to), hoverMessage },
        behind: { range: new vscode.Range(end, end), renderOptions: { after } },
      };
    });
  }
}

function rangeOf({ start, end }: Frame['range']): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}
