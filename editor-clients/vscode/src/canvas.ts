/** How a canvas that is being denoised differs from the lines that it would replace. No VS Code API, so that it can be tested. */

/** As the server sends it; the text of a mask is empty. */
export type Cell = [text: string, state: string, confidence: number | null];

/** A changed line: `from` to `to` is what would go, `becomes` the line as it would be; empty where it would go. */
export interface LineChange {
  line: number;
  from: number;
  to: number;
  becomes: string;
}

const MASK = '░';
const BREAK = ' ⏎ ';
/** Longer regions are compared line by line from both ends only. */
const ALIGNED = 400;

/** A canvas as text. A mask is a shaded cell; many in a row, which nobody has written yet, are one. */
export function canvasText(cells: readonly Cell[]): string {
  return cells
    .map(([text]) => (text === '' ? MASK : text))
    .join('')
    .replace(new RegExp(`${MASK}{4,}`, 'g'), MASK.repeat(3));
}

/** The lines of `old` that differ on the canvas, counted from 0. New lines are told at the end of the line before. */
export function lineChanges(old: readonly string[], canvas: string): LineChange[] {
  const fresh = canvas.split(/\r\n|\n/);
  const found: LineChange[] = [];
  for (const [a, b, c, d] of blocks(old, fresh)) {
    const pairs = Math.min(b - a, d - c);
    for (let i = 0; i < b - a; i++) {
      const was = old[a + i] ?? '';
      const becomes = i < pairs ? (fresh[c + i] ?? '') : '';
      found.push({ line: a + i, ...difference(was, becomes), becomes: becomes.trim() });
    }
    const added = fresh.slice(c + pairs, d).map((line) => line.trim());
    if (added.length === 0) {
      continue;
    }
    const last = pairs > 0 ? found.at(-1) : undefined;
    if (last !== undefined) {
      last.becomes = [last.becomes, ...added].join(BREAK);
    } else {
      const line = Math.max(0, a - 1);
      const end = (old[line] ?? '').length;
      found.push({ line, from: end, to: end, becomes: BREAK.trimStart() + added.join(BREAK) });
    }
  }
  return found;
}

/** What differs between two lines, without the ends that they share. */
function difference(was: string, becomes: string): { from: number; to: number } {
  const shorter = Math.min(was.length, becomes.length);
  let from = 0;
  while (from < shorter && was[from] === becomes[from]) {
    from++;
  }
  let tail = 0;
  while (tail < shorter - from && was[was.length - 1 - tail] === becomes[becomes.length - 1 - tail]) {
    tail++;
  }
  return { from, to: was.length - tail };
}

type Block = [a: number, b: number, c: number, d: number];

/** Where lines `a` to `b` of one text stand for lines `c` to `d` of the other, in order. */
function blocks(old: readonly string[], fresh: readonly string[]): Block[] {
  let start = 0;
  while (start < Math.min(old.length, fresh.length) && old[start] === fresh[start]) {
    start++;
  }
  let [b, d] = [old.length, fresh.length];
  while (b > start && d > start && old[b - 1] === fresh[d - 1]) {
    b--;
    d--;
  }
  if (b - start > ALIGNED || d - start > ALIGNED) {
    return [[start, b, start, d]];
  }
  const found: Block[] = [];
  let [a, c] = [start, start];
  for (const [i, j] of [...common(old, fresh, start, b, d), [b, d] as const]) {
    if (i > a || j > c) {
      found.push([a, i, c, j]);
    }
    [a, c] = [i + 1, j + 1];
  }
  return found;
}

/** The longest common subsequence of lines from `start` to `b` and `d`, as pairs of line numbers. */
function common(
  old: readonly string[],
  fresh: readonly string[],
  start: number,
  b: number,
  d: number,
): [number, number][] {
  const width = d - start + 1;
  const lengths = new Uint16Array((b - start + 1) * width);
  const at = (i: number, j: number): number => lengths[(i - start) * width + (j - start)] ?? 0;
  for (let i = b - 1; i >= start; i--) {
    for (let j = d - 1; j >= start; j--) {
      lengths[(i - start) * width + (j - start)] =
        old[i] === fresh[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: [number, number][] = [];
  for (let i = start, j = start; i < b && j < d;) {
    if (old[i] === fresh[j]) {
      pairs.push([i++, j++]);
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      i++;
    } else {
      j++;
    }
  }
  return pairs;
}
