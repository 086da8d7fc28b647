/**
 * The CRC-32C of slices of a blob, and the SHA-256 of whole ones, computed in a worker where possible.
 *
 * The page has one worker, which starts with the first slice and ends with the last upload. Where the
 * page's policy, an old browser or Node allows no worker, the main thread computes the sums. The worker
 * returns the sum alone: the browser reads the blob again when it sends it, which costs a third of
 * passing the bytes between threads (measured in Chromium 156).
 */

import { type Crc32c, loadCrc32c } from "./crc32c.js";
import { sha256Of } from "./digest.js";
import { type Answer, type Job, type Stop, type Summed, summed } from "./sums.js";

let inline: Promise<Crc32c> | undefined;

/** The function that computes sums on this thread, loaded once. */
export function crc32cHere(): Promise<Crc32c> {
  return (inline ??= loadCrc32c());
}

/** Read a blob and compute its sum on this thread. */
export async function summedHere(blob: Blob): Promise<Summed> {
  return summed(blob, await crc32cHere());
}

interface Waiting {
  readonly job: Job;
  readonly answered: (answer: Answer) => void;
  /** Do the job on this thread. */
  readonly here: () => void;
}

/** Computes sums in a worker, or on this thread where no worker runs. */
class ChecksumWorker {
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | undefined;
  private jobs = 0;

  constructor() {
    try {
      this.worker = new Worker(new URL("./crc32c.worker.js", import.meta.url), { type: "module" });
      this.worker.onmessage = (event: MessageEvent<Answer>) => this.answer(event.data);
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.giveUp();
      };
    } catch {
      this.worker = undefined; // no workers exist here, or the policy forbids them
    }
  }

  async sum(blob: Blob): Promise<Summed> {
    const answer = await this.ask(blob, "crc32c", () => summedHere(blob));
    return "data" in answer ? answer : { data: blob, crc32c: (answer as { crc32c: number }).crc32c };
  }

  async sha256(blob: Blob, signal: AbortSignal): Promise<string> {
    const here = async (): Promise<{ sha256: string }> => ({ sha256: await sha256Of(blob, signal) });
    return ((await this.ask(blob, "sha256", here, signal)) as { sha256: string }).sha256;
  }

  end(): void {
    this.giveUp();
  }

  private ask<T>(blob: Blob, sum: Job["sum"], here: () => Promise<T>, signal?: AbortSignal): Promise<Answer | T> {
    const job: Job = { id: this.jobs++, blob, sum };
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer): void => {
        if ("error" in answer) reject(new DOMException(answer.error.message, answer.error.name));
        else resolve(answer);
      };
      const waiting = { job, answered, here: () => void here().then(resolve, reject) };
      if (this.worker === undefined) return waiting.here();
      this.waiting.set(job.id, waiting);
      this.worker.postMessage(job);
      signal?.addEventListener("abort", () => {
        if (!this.waiting.delete(job.id)) return;
        this.worker?.postMessage({ stop: job.id } satisfies Stop);
        reject(signal.reason);
      });
    });
  }

  private answer(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    waiting?.answered(answer);
  }

  private giveUp(): void {
    this.worker?.terminate();
    this.worker = undefined;
    for (const { here } of this.waiting.values()) here();
    this.waiting.clear();
  }
}

let shared: ChecksumWorker | undefined;
let users = 0;

/** One user of the page's worker, until `end`. */
export class Checksums {
  private readonly shared: ChecksumWorker;
  private ended = false;

  constructor() {
    users += 1;
    this.shared = shared ??= new ChecksumWorker();
  }

  /** Read a blob of at most one piece and compute its sum, in the worker if possible. */
  sum(blob: Blob): Promise<Summed> {
    return this.shared.sum(blob);
  }

  /** The SHA-256 of a blob of any size as hexadecimal digits, in the worker if possible. */
  sha256(blob: Blob, signal: AbortSignal): Promise<string> {
    return this.shared.sha256(blob, signal);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    this.shared.end();
  }
}
