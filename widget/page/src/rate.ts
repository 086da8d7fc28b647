/**
 * How long uploads still take, by how fast bytes became durable of late. Pure: the time is told to it.
 *
 * Uppy's own guess counts what an earlier start had stored, and the time until the first piece, as speed.
 */

/** Milliseconds that count as of late. */
const WINDOW = 10_000;
/** Milliseconds after which there is something to say. */
const LEAST = 1_000;
/** Milliseconds between what is kept. */
const STEP = 100;

export class Pace {
  /** Bytes that were stored of each file when it was last heard of. */
  private readonly stored = new Map<string, number>();
  private readonly kept: { at: number; gained: number }[] = [];
  private gained = 0;

  /** A file begins, or begins again: what is stored of it when it is first heard of was there before. */
  begin(file: string): void {
    this.stored.delete(file);
  }

  /** So many bytes of a file are durable. */
  heard(file: string, bytes: number, now: number): void {
    this.gained += Math.max(0, bytes - (this.stored.get(file) ?? bytes));
    this.stored.set(file, bytes);
    const last = this.kept.at(-1);
    if (last && now - last.at < STEP) return;
    this.kept.push({ at: now, gained: this.gained });
    while ((this.kept[1]?.at ?? now) < now - WINDOW) this.kept.shift();
  }

  /** After a pause the time begins anew. */
  paused(): void {
    this.kept.length = 0;
  }

  /** Seconds that so many bytes take; null while there is nothing to go by. */
  seconds(bytes: number, now: number): number | null {
    const [first] = this.kept;
    if (!first || now - first.at < LEAST || this.gained === first.gained) return null;
    return (bytes * (now - first.at)) / (this.gained - first.gained) / 1000;
  }
}
