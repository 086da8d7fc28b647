/**
 * The CRC-32C of slices of a blob, computed in a worker where possible.
 *
 * The page has one worker, which starts with the first slice and ends with the last upload. Where the
 * page's policy, an old browser or Node allows no worker, the main thread computes the sums. The worker
 * returns the sum alone: the browser reads the blob again when it sends it, which costs a third of
 * passing the bytes between threads (measured in Chromium 156).
 */

import { type Crc32c, loadCrc32c } from "./crc32c.js";
import { type Answer, type Job, type Summed, summed } from "./sums.js";

let inline: Promise<Crc32c> | undefined;

/** The function that computes sums on this thread, loaded once. */
export function crc32cHere(): Promise<Crc32c> {
  return (inline ??= loadCrc32c());
}

/** Read a blob and compute its sum on this thread. */
export async function summedHere(blob: Blob): Promise<Summed> {
  return summed(blob, await crc32cHere());
}

interface Waiting extends Job {
  readonly resolve: (summed: Summed) => void;
  readonly reject: (error: unknown) => void;
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

  sum(blob: Blob): Promise<Summed> {
    const id = this.jobs++;
    return new Promise((resolve, reject) => {
      const job = { id, blob, resolve, reject };
      if (this.worker === undefined) return this.here(job);
      this.waiting.set(id, job);
      this.worker.postMessage({ id, blob } satisfies Job);
    });
  }

  end(): void {
    this.giveUp();
  }

  private answer(answer: Answer): void {
    const job = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (job === undefined) return;
    if ("crc32c" in answer) job.resolve({ data: job.blob, crc32c: answer.crc32c });
    else job.reject(new DOMException(answer.error.message, answer.error.name));
  }

  private giveUp(): void {
    this.worker?.terminate();
    this.worker = undefined;
    for (const job of this.waiting.values()) this.here(job);
    this.waiting.clear();
  }

  private here({ blob, resolve, reject }: Waiting): void {
    summedHere(blob).then(resolve, reject);
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

  end(): void {
    if (this.ended) return;
    this.ended = true;
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    this.shared.end();
  }
}
