/**
 * How long uploads still take, from the rate at which bytes became durable recently.
 *
 * Uppy's own estimate counts bytes of an earlier start, and the time before the first piece.
 */

/** The rate is that of the last so many milliseconds. */
const WINDOW = 10_000;
/** There is no estimate before so many milliseconds. */
const LEAST = 1_000;
/** Milliseconds between two samples. */
const STEP = 100;

export class Rate {
  /** The last known number of stored bytes of each file. */
  private readonly known = new Map<string, number>();
  private readonly samples: { at: number; gained: number }[] = [];
  private gained = 0;

  /** A file starts, or starts again. Bytes in its first report were stored before. */
  begin(file: string): void {
    this.known.delete(file);
  }

  /** `bytes` of a file are durable. */
  stored(file: string, bytes: number, now: number): void {
    this.gained += Math.max(0, bytes - (this.known.get(file) ?? bytes));
    this.known.set(file, bytes);
    const last = this.samples.at(-1);
    if (last && now - last.at < STEP) return;
    this.samples.push({ at: now, gained: this.gained });
    while ((this.samples[1]?.at ?? now) < now - WINDOW) this.samples.shift();
  }

  /** A pause does not count: start to measure again. */
  paused(): void {
    this.samples.length = 0;
  }

  /** Seconds that `bytes` will take; null while there is no estimate. */
  seconds(bytes: number, now: number): number | null {
    const [first] = this.samples;
    if (!first || now - first.at < LEAST || this.gained === first.gained) return null;
    return (bytes * (now - first.at)) / (this.gained - first.gained) / 1000;
  }
}
