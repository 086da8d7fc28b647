/**
 * The pieces of a blob with their CRC-32C, the CRC-32C of slices, and the SHA-256 of whole blobs, in a worker where
 * possible.
 *
 * The page has one worker, which starts with the first blob and ends with the last upload. Where the page's policy, an
 * old browser or Node allows no worker, the main thread does its work. The buffer of a piece goes to the worker and
 * comes back. For a slice only the sum does: the browser reads it again when a request sends it.
 */

import { type Crc32c, loadCrc32c } from "./crc32c.js";
import { sha256Of } from "./digest.js";
import { type Filled, Reading, ROOM } from "./reading.js";
import { type Answer, type Close, type Job, type Open, type PieceJob, type Stop, type SumJob, type Summed, summed } from "./sums.js";

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
  readonly answered: (answer: Answer) => void;
  /** Do the job on this thread. */
  readonly here: () => void;
}

/** A blob whose pieces are read: its number in the worker, and how it is read without one. */
export interface Opened {
  readonly id: number;
  readonly here: Reading;
}

/** Reads and computes in a worker, or on this thread where no worker runs. */
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

  open(blob: Blob): Opened {
    const id = this.jobs++;
    this.worker?.postMessage({ open: id, blob } satisfies Open);
    return { id, here: new Reading(blob, crc32cHere) };
  }

  async piece({ id, here }: Opened, start: number, end: number, buffer: ArrayBuffer): Promise<Filled> {
    const job = { piece: id, start, end, buffer };
    // A buffer that went to the worker does not come back when it ends.
    const again = (): Promise<Filled> => here.piece(start, end, buffer.byteLength ? buffer : new ArrayBuffer(ROOM + end - start));
    return (await this.ask(job, again, { transfer: [buffer] })) as Filled;
  }

  close({ id, here }: Opened): void {
    this.worker?.postMessage({ close: id } satisfies Close);
    here.close();
  }

  async sum(blob: Blob): Promise<Summed> {
    const answer = await this.ask({ blob, sum: "crc32c" }, () => summedHere(blob));
    return "data" in answer ? answer : { data: blob, crc32c: (answer as { crc32c: number }).crc32c };
  }

  async sha256(blob: Blob, signal: AbortSignal): Promise<string> {
    const here = async (): Promise<{ sha256: string }> => ({ sha256: await sha256Of(blob, signal) });
    return ((await this.ask({ blob, sum: "sha256" }, here, { signal })) as { sha256: string }).sha256;
  }

  end(): void {
    this.giveUp();
  }

  private ask<T>(
    asked: Omit<PieceJob, "id"> | Omit<SumJob, "id">,
    here: () => Promise<T>,
    { signal, transfer = [] }: { signal?: AbortSignal; transfer?: Transferable[] } = {},
  ): Promise<Answer | T> {
    const job: Job = { id: this.jobs++, ...asked };
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer): void => {
        if ("error" in answer) reject(new DOMException(answer.error.message, answer.error.name));
        else resolve(answer);
      };
      const waiting = { answered, here: () => void here().then(resolve, reject) };
      if (this.worker === undefined) return waiting.here();
      this.waiting.set(job.id, waiting);
      this.worker.postMessage(job, transfer);
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

  /** Pieces of this blob will be read, until `close`. */
  open(blob: Blob): Opened {
    return this.shared.open(blob);
  }

  /** Read a piece into the buffer, which is lost: the answer has another one. */
  piece(opened: Opened, start: number, end: number, buffer: ArrayBuffer): Promise<Filled> {
    return this.shared.piece(opened, start, end, buffer);
  }

  close(opened: Opened): void {
    this.shared.close(opened);
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
