/** What several tests do: wait for what happens, and a clock that only moves when it is told to. */

import { expect, vi } from "vitest";

import type { Timing } from "../../src/transport/backoff.js";
import type { Network } from "../../src/transport/network.js";
import type { Upload } from "../../src/upload/upload.js";

/** Wait until the condition holds, by looking. */
export async function until(condition: () => unknown, milliseconds = 10_000): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBeTruthy(), { timeout: milliseconds, interval: 2 });
}

/** Do something in the moment in which so many bytes are stored. */
export function when(upload: Upload, bytes: number, act: () => void): Promise<void> {
  return new Promise((resolve) => {
    const stop = upload.on("progress", ({ stored }) => {
      if (stored < bytes) return;
      stop();
      act();
      resolve();
    });
  });
}

/** Let everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class Clock implements Timing {
  private time = 1_000_000;
  private readonly sleepers = new Set<{ at: number; wake: () => void }>();

  readonly now = (): number => this.time;
  readonly random = (): number => 0.5;
  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = (): void => {
        this.sleepers.delete(sleeper);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const sleeper = { at: this.time + milliseconds, wake };
      this.sleepers.add(sleeper);
      signal.addEventListener("abort", wake);
    });

  /** Move on, in steps in which everything happens that is due. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    while (this.time < end) {
      this.time = Math.min(end, this.time + 1000);
      for (const sleeper of [...this.sleepers]) {
        if (sleeper.at <= this.time) sleeper.wake();
      }
      await settle();
    }
  }
}

/** A network that comes and goes as told. */
export class Plug implements Network {
  online = true;
  private readonly hearers = new Set<() => void>();

  watch(changed: () => void): () => void {
    this.hearers.add(changed);
    return () => this.hearers.delete(changed);
  }

  set(online: boolean): void {
    this.online = online;
    for (const changed of [...this.hearers]) changed();
  }
}

/** Bytes that differ from place to place. */
export function someBytes(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(size).map((_, at) => (at * 7 + (at >> 8)) & 255);
}
