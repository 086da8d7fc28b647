/**
 * Slices of a blob with their sums, made in a worker where there can be one.
 *
 * Owns the worker: one for the page, started at the first need and ended with the last upload. A
 * page's policy, an old browser or Node may refuse it; then the same is done here. Refuses to know
 * what the bytes are for. The worker gives back sums alone: the browser reads a blob once more when
 * it sends it, which costs a third of what handing over its bytes does (measured in Chromium 156).
 */

import { type Crc32c, loadCrc32c } from "./crc32c.js";
import { type Answer, type Job, type Summed, summed } from "./sums.js";

let inline: Promise<Crc32c> | undefined;

/** The sum on this thread, loaded once. */
export function crc32cHere(): Promise<Crc32c> {
  return (inline ??= loadCrc32c());
}

/** Read a blob and sum its bytes on this thread. */
export async function summedHere(blob: Blob): Promise<Summed> {
  return summed(blob, await crc32cHere());
}

interface Waiting extends Job {
  readonly resolve: (summed: Summed) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker, or this thread once the worker turned out to be refused. */
class Summer {
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
      this.worker = undefined; // no workers here, or none allowed
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

let shared: Summer | undefined;
let users = 0;

/** The use of the page's worker, until `end`. */
export class Checksums {
  private readonly summer: Summer;
  private ended = false;

  constructor() {
    users += 1;
    this.summer = shared ??= new Summer();
  }

  /** Read a blob of at most a piece, off this thread if possible. */
  sum(blob: Blob): Promise<Summed> {
    return this.summer.sum(blob);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    this.summer.end();
  }
}
