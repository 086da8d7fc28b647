/**
 * Which pieces of an upload are to be sent, are on their way, or are durable.
 *
 * Owns the arithmetic of cells and ranges. Pure: refuses to know messages, time and where bytes
 * come from. Source: docs/wire-protocol.md, "Words" and rule 2.
 */

/** Byte offsets `[start, end)`. */
export type Range = readonly [start: number, end: number];

/** What is left to send of one upload. A piece lies inside one cell and reaches that cell's end. */
export class Pieces {
  /** Bytes that are acknowledged: durable on the server. */
  stored: number;
  /** Bytes of the whole, or null while that is not known. */
  size: number | null;
  /** Bytes on their way. */
  inFlight = 0;
  /** The end of the bytes that exist by now, of an upload of unknown size. */
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

  /** Whether all that is known of the upload is durable: time to finish. */
  get settled(): boolean {
    return this.todo.length === 0 && this.flying.size === 0;
  }

  /** The next piece if it has at most `credit` bytes; it counts as on its way from here on. */
  take(credit: number): Range | null {
    const first = this.todo[0];
    if (first === undefined) return null;
    const [start, end] = first;
    const stop = Math.min(end, start - (start % this.chunkSize) + this.chunkSize);
    // While the length is unknown only whole cells are taken, since more may come.
    if (this.size === null && stop === this.offered && stop % this.chunkSize !== 0) return null;
    if (stop - start > credit) return null;
    if (stop < end) this.todo[0] = [stop, end];
    else this.todo.shift();
    this.flying.set(start, stop - start);
    this.inFlight += stop - start;
    return [start, stop];
  }

  /** The piece at `start` is durable. Tells its size; 0 when it was not on its way. */
  arrived(start: number): number {
    const size = this.answered(start);
    this.stored += size;
    return size;
  }

  /** The piece at `start` was refused, and nothing of it is stored; tells its size. */
  answered(start: number): number {
    const size = this.flying.get(start) ?? 0;
    this.flying.delete(start);
    this.inFlight -= size;
    return size;
  }

  /** Send the piece again that was answered just now. */
  again(start: number, size: number): void {
    if (size > 0) this.todo.unshift([start, start + size]);
  }

  /** Of an upload of unknown length, bytes up to `end` can be read now. */
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

  /** An upload of unknown length turned out to be `size` bytes long. */
  end(size: number): void {
    this.offer(size);
    this.size = size;
  }

  /** Go by what the server says is missing, besides what is on its way. */
  restart(missing: readonly Range[]): void {
    this.todo = without(missing, this.flying);
    if (this.size !== null) this.stored = this.size - total(missing);
  }
}

function total(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** What of the ranges is not on its way. */
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
