/**
 * The keys of requests with several files that this tab has got no answer to, also by a page that was reloaded
 * meanwhile. The server carries such a request out to its end: who looks for its files before that does not see
 * them, and would send them again.
 */

import { hasCode } from "../protocol/errors.js";
import type { Timing } from "../transport/backoff.js";

/** Milliseconds between two questions about a request, and how many there are at most. */
const [PAUSE, QUESTIONS] = [250, 120];

export class Unanswered {
  private readonly name: string;

  /** `server` is its address. */
  constructor(server: string) {
    this.name = `lading unanswered ${server}`;
  }

  add(key: string): void {
    this.keep([...this.keys(), key]);
  }

  delete(key: string): void {
    const kept = this.keys();
    if (kept.includes(key)) this.keep(kept.filter((other) => other !== key));
  }

  /**
   * Resolves when the server has ended those that are noted now. `ask` sends a request with the key but without
   * a file: the server refuses it, and by how it does tells whether it still works on the one that it knows.
   */
  async over(ask: (key: string) => Promise<unknown>, sleep: Timing["sleep"], signal: AbortSignal): Promise<void> {
    const end = async (key: string): Promise<void> => {
      for (let asked = 0; asked < QUESTIONS && !signal.aborted; asked++) {
        const refusal = await ask(key).catch((error: unknown) => error);
        if (!hasCode(refusal, "in-progress")) break;
        await sleep(PAUSE, signal);
      }
      this.delete(key);
    };
    await Promise.all(this.keys().map(end));
  }

  private keys(): string[] {
    try {
      return JSON.parse(sessionStorage.getItem(this.name) ?? "[]") as string[];
    } catch {
      return []; // there is none here, or the browser forbids it
    }
  }

  private keep(keys: readonly string[]): void {
    try {
      if (keys.length === 0) sessionStorage.removeItem(this.name);
      else sessionStorage.setItem(this.name, JSON.stringify(keys));
    } catch {
      // Then the next page does not wait.
    }
  }
}
