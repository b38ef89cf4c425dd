// The code, and the spans that are marked to be written anew.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Answer, Place, Range } from "./session";

const mark = StateEffect.define<{ from: number; to: number }>();
const unmark = StateEffect.define<null>();
const look = Decoration.mark({ class: "marked" });

/** Marks move with the text; one that overlaps an older one takes its place, and empty ones vanish. */
const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(found, change) {
    found = found.map(change.changes);
    for (const effect of change.effects) {
      if (effect.is(unmark)) found = Decoration.none;
      if (effect.is(mark)) {
        const { from, to } = effect.value;
        const apart = (a: number, b: number) => b <= from || a >= to;
        found = found.update({ filter: apart, add: [look.range(from, to)], sort: true });
      }
    }
    return found;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, class: "tok-keyword" },
  { tag: [tags.string, tags.special(tags.string)], class: "tok-string" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: [tags.number, tags.bool, tags.null], class: "tok-number" },
  { tag: tags.function(tags.definition(tags.variableName)), class: "tok-name" },
]);

export class CodeEditor {
  private view: EditorView;

  constructor(parent: HTMLElement, text: string, on: { changed: () => void; run: () => void }) {
    const keys = [
      { key: "Mod-Enter", run: () => (on.run(), true) },
      { key: "Alt-m", run: () => (this.markSelection(), true) },
      indentWithTab,
      ...defaultKeymap,
      ...historyKeymap,
    ];
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          python(),
          syntaxHighlighting(colours),
          keymap.of(keys),
          marks,
          EditorView.contentAttributes.of({ "aria-label": "Python code" }),
          EditorView.updateListener.of((update) => update.docChanged && on.changed()),
        ],
      }),
    });
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  get cursor(): Place {
    return this.place(this.view.state.selection.main.head);
  }

  get selection(): Range | null {
    const { from, to, empty } = this.view.state.selection.main;
    return empty ? null : this.range(from, to);
  }

  get marked(): Range[] {
    const found: Range[] = [];
    this.view.state.field(marks).between(0, this.view.state.doc.length, (from, to) => {
      found.push(this.range(from, to));
    });
    return found;
  }

  /** Marks what is selected, else the word or line at the cursor. */
  markSelection(): void {
    const { state } = this.view;
    const { from, to, empty, head } = state.selection.main;
    const line = state.doc.lineAt(head);
    const start = line.from + (/^\s*/.exec(line.text)?.[0].length ?? 0);
    const chosen = empty ? (state.wordAt(head) ?? { from: start, to: line.to }) : { from, to };
    if (chosen.from < chosen.to) {
      this.view.dispatch({
        effects: mark.of({ from: chosen.from, to: chosen.to }),
        selection: { anchor: chosen.to },
      });
    }
    this.view.focus();
  }

  clearMarks(): void {
    this.view.dispatch({ effects: unmark.of(null) });
    this.view.focus();
  }

  apply(answer: Answer): void {
    const changes = answer.edits.map(({ range, newText }) => ({
      from: this.offset(range.start),
      to: this.offset(range.end),
      insert: newText,
    }));
    this.view.dispatch({ changes, userEvent: "input.redraft" });
    this.view.focus();
  }

  private range(from: number, to: number): Range {
    return { start: this.place(from), end: this.place(to) };
  }

  private place(offset: number): Place {
    const line = this.view.state.doc.lineAt(offset);
    return { line: line.number - 1, character: offset - line.from };
  }

  private offset({ line, character }: Place): number {
    return this.view.state.doc.line(line + 1).from + character;
  }
}
