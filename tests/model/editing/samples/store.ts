import { Event } from "./event";

export interface Listener<T> {
  notify(value: T): void;
}

export enum Level {
  Low = 1,
  High,
}

export abstract class Store<T> {
  private listeners: Listener<T>[] = [];

  protected constructor(private value: T) {
    this.listeners = [];
  }

  public get current(): T {
    return this.value;
  }

  public subscribe(listener: Listener<T>): () => void {
    this.listeners.push(listener);
    const index = this.listeners.length - 1;
    return () => this.listeners.splice(index, 1);
  }

  @logged("update")
  public update(change: (old: T) => T): void {
    this.value = change(this.value);
    for (const listener of this.listeners) {
      listener.notify(this.value);
    }
  }
}

export async function load<T>(url: string, fallback: T): Promise<T> {
  const response = await fetch(url);
  if (!response.ok) {
    return fallback;
  }
  return (await response.json()) as T;
}

export const clamp = (value: number, low: number, high: number): number => {
  const bounded = Math.max(low, value);
  return Math.min(high, bounded);
};
