/**
 * Slices of a blob with their sums, made in a worker where there can be one.
 *
 * Owns the worker: one for the page, started at the first need and ended with the last upload. A
 * page's policy, an old browser or Node may refuse it; then the same is done here. Refuses to know
 * what the bytes are for.
 */

import { type Crc32c, loadCrc32c } from "./crc32c.js";
import { type Answer, type Job, type Piece, sealed } from "./seal.js";

let inline: Promise<Crc32c> | undefined;

/** The sum on this thread, loaded once. */
export function crc32cHere(): Promise<Crc32c> {
  return (inline ??= loadCrc32c());
}

interface Waiting extends Job {
  readonly resolve: (piece: Piece) => void;
  readonly reject: (error: unknown) => void;
}

/** A worker, or this thread once the worker turned out to be refused. */
class Sealer {
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

  seal(blob: Blob, room: number): Promise<Piece> {
    const id = this.jobs++;
    return new Promise((resolve, reject) => {
      const job = { id, blob, room, resolve, reject };
      if (this.worker === undefined) return this.here(job);
      this.waiting.set(id, job);
      this.worker.postMessage({ id, blob, room } satisfies Job);
    });
  }

  end(): void {
    this.giveUp();
  }

  private answer(answer: Answer): void {
    const job = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("piece" in answer) job?.resolve(answer.piece);
    else job?.reject(new DOMException(answer.error.message, answer.error.name));
  }

  private giveUp(): void {
    this.worker?.terminate();
    this.worker = undefined;
    for (const job of this.waiting.values()) this.here(job);
    this.waiting.clear();
  }

  private here({ blob, room, resolve, reject }: Waiting): void {
    crc32cHere()
      .then((crc32c) => sealed(blob, room, crc32c))
      .then(resolve, reject);
  }
}

let shared: Sealer | undefined;
let users = 0;

/** The use of the page's worker, until `end`. */
export class Checksums {
  private readonly sealer: Sealer;
  private ended = false;

  constructor() {
    users += 1;
    this.sealer = shared ??= new Sealer();
  }

  /** Read a blob of at most a piece, off this thread if possible. */
  seal(blob: Blob, room: number): Promise<Piece> {
    return this.sealer.seal(blob, room);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    this.sealer.end();
  }
}
