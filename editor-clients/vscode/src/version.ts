/** The oldest server that offers what this extension uses. */
export const OLDEST_SERVER = '0.1.0';

/**
 * Whether `version` is older than `oldest`. A server that runs from a checkout says 0 and a remark, since it has
 * no version: it is taken as new enough.
 */
export function isTooOld(version: string | undefined, oldest: string = OLDEST_SERVER): boolean {
  if (version === undefined || !/^\d+(\.\d+)*/.test(version)) {
    return true; // every Redraft says its version
  }
  if (version.startsWith('0 (')) {
    return false;
  }
  const [given, wanted] = [numbers(version), numbers(oldest)];
  for (let i = 0; i < Math.max(given.length, wanted.length); i++) {
    const difference = (given[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) {
      return difference < 0;
    }
  }
  return false;
}

function numbers(version: string): number[] {
  return (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
}
