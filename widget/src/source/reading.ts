/**
 * Reads the pieces of a blob, and computes their CRC-32C.
 *
 * Pieces that follow each other come from one stream. For each slice that is read on its own Chromium makes a pipe of
 * shared memory and clears its pages, which takes more time than reading.
 */

import type { Crc32c } from "./crc32c.js";

/** Bytes that are left free before a piece, for the header of its message. */
export const ROOM = 32;
/** Bytes of a stream. A file that has changed is noticed when a stream of it begins. */
const STREAM = 32 * 1024 * 1024;

/** A piece after `ROOM` bytes of a buffer. */
export interface Filled {
  readonly buffer: ArrayBuffer;
  readonly crc32c: number;
}

export class Reading {
  private stream: ReadableStreamBYOBReader | undefined;
  /** What the stream returns next, and where it ends. */
  private at = 0;
  private end = 0;
  private turn: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly blob: Blob,
    private readonly crc32c: () => Promise<Crc32c>,
  ) {}

  /** Read the bytes `[start, end)` into a buffer, which is lost: another one has its memory. In the order of the calls. */
  piece(start: number, end: number, buffer: ArrayBuffer): Promise<Filled> {
    const filled = this.turn.then(() => this.fill(start, end, buffer));
    this.turn = filled.catch(() => this.leave());
    return filled;
  }

  /** Pieces that are not read yet reject. */
  close(): void {
    this.closed = true;
    this.leave();
  }

  private leave(): void {
    void this.stream?.cancel().catch(() => undefined);
    this.stream = undefined;
  }

  private async fill(start: number, end: number, buffer: ArrayBuffer): Promise<Filled> {
    for (let at = start; at < end; ) {
      const read = await this.read(at, new Uint8Array(buffer, ROOM + at - start, end - at));
      buffer = read.buffer;
      at += read.length;
    }
    const sum = await this.crc32c();
    return { buffer, crc32c: sum(new Uint8Array(buffer, ROOM, end - start)) };
  }

  /** Some of the bytes from `at` on. */
  private async read(at: number, view: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (this.closed) throw new DOMException("closed", "AbortError");
    if (this.stream === undefined || this.at !== at || at === this.end) this.open(at);
    if (this.stream === undefined) return copied(this.blob.slice(at, at + view.length), view);
    const { value } = await this.stream.read(view);
    if (!value?.length) throw shorter();
    this.at += value.length;
    return value;
  }

  private open(at: number): void {
    this.leave();
    this.at = at;
    this.end = Math.min(at + STREAM, this.blob.size);
    try {
      this.stream = this.blob.slice(at, this.end).stream().getReader({ mode: "byob" });
    } catch {
      // This browser's streams do not fill buffers of others.
    }
  }
}

async function copied(slice: Blob, view: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const data = await slice.arrayBuffer();
  if (data.byteLength !== view.length) throw shorter();
  view.set(new Uint8Array(data));
  return view;
}

function shorter(): DOMException {
  return new DOMException("The file is shorter.", "NotReadableError");
}
