/** Moves edits over what was typed meanwhile, by the server's rules. No VS Code API, so that it can be tested. */

export interface Position {
  readonly line: number;
  readonly character: number;
}

export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** A range of the text before the change, and what stands there now. */
export interface Change {
  readonly range: Range;
  readonly text: string;
}

/**
 * `edits` moved over `changes`, sets of changes that were made one after the other; undefined where one altered an
 * edit or a region, or inserted at its ends: the edit's reason is gone then.
 */
export function rebase<T extends { range: Range }>(
  edits: readonly T[],
  regions: readonly Range[],
  changes: readonly (readonly Change[])[],
): T[] | undefined {
  let guarded = [...regions, ...edits.map((edit) => edit.range)];
  for (const set of changes) {
    // The last change first: the places of those before it are not moved by it.
    for (const change of [...set].sort((one, other) => compare(other.range.start, one.range.start))) {
      if (guarded.some((range) => disturbs(change, range))) {
        return undefined;
      }
      guarded = guarded.map((range) => ({
        start: moved(range.start, change),
        end: moved(range.end, change),
      }));
    }
  }
  return edits.map((edit, i) => ({ ...edit, range: guarded[regions.length + i] ?? edit.range }));
}

function disturbs({ range }: Change, guarded: Range): boolean {
  const sign = isEmpty(range) || isEmpty(guarded) ? 0 : -1; // an insertion at an end counts, a neighbour does not
  return compare(range.start, guarded.end) <= sign && compare(guarded.start, range.end) <= sign;
}

function moved(place: Position, { range, text }: Change): Position {
  if (compare(place, range.end) < 0) {
    return place;
  }
  const lines = text.split('\n');
  const last = (lines.at(-1) ?? '').length;
  const line = range.start.line + lines.length - 1 + place.line - range.end.line;
  if (place.line > range.end.line) {
    return { line, character: place.character };
  }
  const before = lines.length > 1 ? last : range.start.character + last;
  return { line, character: before + place.character - range.end.character };
}

function isEmpty({ start, end }: Range): boolean {
  return compare(start, end) === 0;
}

/** Negative, 0 or positive, at most by 1. */
function compare(one: Position, other: Position): number {
  return Math.sign(one.line - other.line || one.character - other.character);
}
