/** Helpers: waiting for conditions, a manual clock, a manual network. */

import { expect, vi } from "vitest";

import type { Timing } from "../../src/transport/backoff.js";
import type { Network } from "../../src/transport/network.js";
import type { Upload } from "../../src/upload/upload.js";

/** Poll until the condition holds. */
export async function until(condition: () => unknown, milliseconds = 10_000): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBeTruthy(), { timeout: milliseconds, interval: 2 });
}

/** Call `act` as soon as `bytes` bytes are stored. */
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

/** Let everything run that waits for no timer. */
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

  /** Advance in steps, and run everything that is due. */
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

/** A network that a test switches on and off. */
export class Plug implements Network {
  online = true;
  private readonly listeners = new Set<() => void>();

  watch(changed: () => void): () => void {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  set(online: boolean): void {
    this.online = online;
    for (const changed of [...this.listeners]) changed();
  }
}

/** Bytes with a pattern that depends on the position. */
export function someBytes(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(size).map((_, at) => (at * 7 + (at >> 8)) & 255);
}
