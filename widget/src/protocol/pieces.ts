/**
 * Which pieces of an upload are left to send, in flight, or durable: the arithmetic of cells and
 * ranges. Source: docs/wire-protocol.md, "Words" and rule 2.
 */

/** Byte offsets `[start, end)`. */
export type Range = readonly [start: number, end: number];

/** The pieces of one upload. A piece lies inside one cell and ends where the cell or the gap ends. */
export class Pieces {
  /** Bytes that the server acknowledged as durable. */
  stored: number;
  /** Bytes of the whole file, or null while not known. */
  size: number | null;
  /** Bytes that were sent and not answered. */
  inFlight = 0;
  /** For an upload of unknown size: the end of the bytes that can be read so far. */
  private offered: number;
  private todo: Range[];
  private readonly chunkSize: number;
  private readonly flying = new Map<number, number>();

  constructor(upload: {
    readonly chunk_size: number;
    readonly size: number | null;
    readonly upload_size: number;
    readonly missing: readonly Range[];
  }) {
    this.chunkSize = upload.chunk_size;
    this.size = upload.size;
    this.stored = upload.upload_size;
    this.todo = [...upload.missing];
    this.offered = upload.upload_size + total(upload.missing);
  }

  /** Whether all known bytes are in flight or durable. */
  get spent(): boolean {
    return this.todo.length === 0;
  }

  /** Whether all known bytes are durable. */
  get settled(): boolean {
    return this.todo.length === 0 && this.flying.size === 0;
  }

  /** The next piece if it has at most `credit` bytes. It is in flight from now on. */
  take(credit: number): Range | null {
    const first = this.todo[0];
    if (first === undefined) return null;
    const [start, end] = first;
    const stop = Math.min(end, start - (start % this.chunkSize) + this.chunkSize);
    // While the size is unknown, only whole cells are sent: more bytes may follow.
    if (this.size === null && stop === this.offered && stop % this.chunkSize !== 0) return null;
    if (stop - start > credit) return null;
    if (stop < end) this.todo[0] = [stop, end];
    else this.todo.shift();
    this.flying.set(start, stop - start);
    this.inFlight += stop - start;
    return [start, stop];
  }

  /** The piece at `start` is durable. Returns its size; 0 when it was not in flight. */
  arrived(start: number): number {
    const size = this.answered(start);
    this.stored += size;
    return size;
  }

  /** The piece at `start` is no longer in flight. Returns its size. */
  answered(start: number): number {
    const size = this.flying.get(start) ?? 0;
    this.flying.delete(start);
    this.inFlight -= size;
    return size;
  }

  /** Send a piece again that was in flight. */
  again(start: number, size: number): void {
    if (size > 0) this.todo.unshift([start, start + size]);
  }

  /** For an upload of unknown size: bytes up to `end` can be read now. */
  offer(end: number): void {
    if (end <= this.offered) return;
    const last = this.todo.at(-1);
    if (last !== undefined && last[1] === this.offered) {
      this.todo[this.todo.length - 1] = [last[0], end];
    } else {
      this.todo.push([this.offered, end]);
    }
    this.offered = end;
  }

  /** For an upload of unknown size: the size is now known. */
  end(size: number): void {
    this.offer(size);
    this.size = size;
  }

  /** Send what the server says is missing, except what is in flight. */
  restart(missing: readonly Range[]): void {
    this.todo = without(missing, this.flying);
    if (this.size !== null) this.stored = this.size - total(missing);
  }
}

function total(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** The parts of the ranges that are not in flight. */
function without(ranges: readonly Range[], flying: ReadonlyMap<number, number>): Range[] {
  const busy = [...flying].map(([start, size]) => [start, start + size] as const);
  busy.sort((a, b) => a[0] - b[0]);
  const left: Range[] = [];
  for (const [first, end] of ranges) {
    let start = first;
    for (const [begin, stop] of busy) {
      if (start < stop && begin < end) {
        if (start < begin) left.push([start, begin]);
        start = stop;
      }
    }
    if (start < end) left.push([start, end]);
  }
  return left;
}
