import type { Memento } from 'vscode';

const KEY = 'redraft.instructions';
const KEPT = 20;

/** The instructions given last, the newest first; shared by all workspaces, since they are about habits. */
export class History {
  constructor(private readonly store: Pick<Memento, 'get' | 'update'>) {}

  all(): readonly string[] {
    const stored: unknown = this.store.get(KEY);
    return Array.isArray(stored) ? stored.filter((item) => typeof item === 'string') : [];
  }

  async add(instruction: string): Promise<void> {
    const older = this.all().filter((item) => item !== instruction);
    await this.store.update(KEY, [instruction, ...older].slice(0, KEPT));
  }

  async remove(instruction: string): Promise<void> {
    await this.store.update(
      KEY,
      this.all().filter((item) => item !== instruction),
    );
  }
}
