/** Where the bytes of an upload come from: a blob, which can be read again, or a stream, which cannot. */

import { Checksums, crc32cHere, summedHere } from "./checksum.js";
import { UploadError } from "../protocol/errors.js";
import { fingerprintOf, randomFingerprint, sameButTime, timelessFingerprintOf } from "./fingerprint.js";
import type { OpenedUpload } from "../protocol/messages.js";
import { type Piece, PieceReader } from "./piece-reader.js";
import { ROOM } from "./reading.js";
import type { Summed } from "./sums.js";

/** What can be uploaded: a file, a blob, or a stream of bytes. */
export type Uploadable = Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

export interface Source {
  /** Bytes of the whole, or null while not known. */
  readonly size: number | null;
  /** The end of the bytes that can be read so far. */
  readonly offered: number;
  /** Whether every byte can be read again, so that the upload can start over. */
  readonly rereadable: boolean;
  /** The text by which an unfinished upload is found again. */
  fingerprint(): Promise<string>;
  /** Whether samples of the content fit a fingerprint, whatever the time of the last change. */
  resembles(fingerprint: unknown): Promise<boolean>;
  /** The SHA-256 of all bytes, read once more, and once until `close`; undefined where they can be read only once. */
  sha256(signal: AbortSignal): Promise<string | undefined>;
  /** A transport opened the upload. `wake` is called when more can be read, or the source ended. */
  opened(upload: OpenedUpload, window: number, wake: () => void): void;
  /** Throws when the source failed. */
  check(): void;
  /** The bytes `[start, end)` for the browser to read when it sends them; undefined for a stream. */
  slice(start: number, end: number): Blob | undefined;
  /**
   * The bytes `[start, end)` and their CRC-32C for one message; `done` must be called when it is sent. Rejects when the
   * signal is aborted before they are read.
   */
  piece(start: number, end: number, signal: AbortSignal): Promise<Piece>;
  /** The bytes `[start, end)` and their CRC-32C for a request. Returns a blob only if `blobs` is true. */
  read(start: number, end: number, blobs: boolean): Promise<Summed>;
  /** All bytes, of what can be read again. */
  whole(): Promise<Uint8Array<ArrayBuffer>>;
  /** The piece at `start` is durable and will not be read again. */
  release(start: number): void;
  /** Rejects with UploadError `source-changed` when the source has changed since the start. */
  confirm(): Promise<void>;
  /** Free all resources. A blob can still be read afterwards. */
  close(): void;
}

/** The source for what the caller wants to upload under `name`. */
export function openSource(what: Uploadable, name: string): Source {
  return what instanceof Blob ? new BlobSource(what, name) : new StreamSource(what);
}

function changed(cause?: unknown): UploadError {
  return new UploadError(
    "source-changed",
    { detail: String(cause ?? "The size differs.") },
    { cause },
  );
}

class BlobSource implements Source {
  readonly size: number;
  readonly rereadable = true;
  private readonly modified: number;
  private checksums: Checksums | undefined;
  private pieces: PieceReader | undefined;
  private known: Promise<string> | undefined;
  private timeless: Promise<string> | undefined;
  private digest: Promise<string> | undefined;
  /** Aborted by `close`. */
  private digesting = new AbortController();

  constructor(
    private readonly blob: Blob,
    private readonly name: string,
  ) {
    this.size = blob.size;
    this.modified = this.lastModified();
  }

  get offered(): number {
    return this.size;
  }

  fingerprint(): Promise<string> {
    this.known ??= this.identify();
    return this.known;
  }

  private async identify(): Promise<string> {
    if (!isFile(this.blob)) return randomFingerprint();
    try {
      return await fingerprintOf(this.blob, this.name);
    } catch (error) {
      if (isUnreadable(error)) throw changed(error);
      return randomFingerprint(); // hashing is not possible here: the upload is found by its id only
    }
  }

  async resembles(fingerprint: unknown): Promise<boolean> {
    if (!isFile(this.blob)) return false;
    if (sameButTime(await this.fingerprint(), fingerprint)) return true;
    if (typeof fingerprint !== "string" || !fingerprint.startsWith(`file-2:${this.size}:`)) return false;
    this.timeless ??= timelessFingerprintOf(this.blob, this.name);
    return fingerprint === (await this.timeless);
  }

  /** It goes on when the signal is aborted: the next attempt needs it, too. */
  async sha256(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    this.digest ??= this.digested();
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    return Promise.race([this.digest, stopped]);
  }

  private async digested(): Promise<string> {
    this.checksums ??= new Checksums();
    try {
      return await this.checksums.sha256(this.blob, this.digesting.signal);
    } catch (error) {
      this.digest = undefined;
      throw changed(error);
    }
  }

  opened(upload: OpenedUpload): void {
    if (upload.size !== this.size) throw changed();
  }

  check(): void {
    // A file that cannot be read fails in `read`.
  }

  slice(start: number, end: number): Blob {
    return this.blob.slice(start, end);
  }

  async piece(start: number, end: number, signal: AbortSignal): Promise<Piece> {
    this.checksums ??= new Checksums();
    this.pieces ??= new PieceReader(this.blob, this.checksums);
    try {
      return await this.pieces.read(start, end, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw changed(error);
    }
  }

  async read(start: number, end: number, blobs: boolean): Promise<Summed> {
    const slice = this.blob.slice(start, end);
    try {
      if (!blobs) return await summedHere(slice);
      this.checksums ??= new Checksums();
      return await this.checksums.sum(slice);
    } catch (error) {
      throw changed(error);
    }
  }

  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    let data: ArrayBuffer;
    try {
      // Not of a slice: to make one costs as much as to read a few bytes.
      data = await this.blob.arrayBuffer();
    } catch (error) {
      throw changed(error);
    }
    if (data.byteLength !== this.size) throw changed();
    return new Uint8Array(data);
  }

  release(): void {
    // Nothing is buffered.
  }

  async confirm(): Promise<void> {
    if (this.blob.size !== this.size || this.lastModified() !== this.modified) throw changed();
    try {
      await this.blob.slice(0, 1).arrayBuffer(); // a stream that has begun does not notice
    } catch (error) {
      throw changed(error);
    }
  }

  close(): void {
    this.digesting.abort(new DOMException("closed", "AbortError"));
    this.digesting = new AbortController();
    this.pieces?.close();
    this.pieces = undefined;
    this.checksums?.end();
    this.checksums = undefined;
  }

  private lastModified(): number {
    return isFile(this.blob) ? this.blob.lastModified : 0;
  }
}

function isFile(blob: Blob): blob is File {
  return "lastModified" in blob && "name" in blob;
}

function isUnreadable(error: unknown): boolean {
  return ["NotReadableError", "NotFoundError"].includes((error as Error).name);
}

interface Cell {
  readonly parts: Uint8Array[];
  size: number;
}

/** Bytes that can be read once. It buffers those not durable yet: at most a window and a piece. */
class StreamSource implements Source {
  size: number | null = null;
  offered = 0;
  readonly rereadable = false;
  private readonly known = randomFingerprint();
  private readonly cells = new Map<number, Cell>();
  private held = 0;
  private limit = 0;
  private chunkSize = 0;
  private broken: UploadError | undefined;
  private iterator: AsyncIterator<Uint8Array> | undefined;
  private closed = false;
  private wake: () => void = () => undefined;
  private resume: () => void = () => undefined;

  constructor(private readonly blocks: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>) {}

  fingerprint(): Promise<string> {
    return Promise.resolve(this.known);
  }

  resembles(): Promise<boolean> {
    return Promise.resolve(false);
  }

  sha256(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  opened(upload: OpenedUpload, window: number, wake: () => void): void {
    this.chunkSize = upload.chunk_size;
    this.limit = Math.max(window, upload.chunk_size) + upload.chunk_size;
    this.wake = wake;
    const holes = upload.missing.reduce((sum, [start, end]) => sum + end - start, 0);
    const end = upload.upload_size + holes;
    for (const cell of [...this.cells.keys()]) {
      const start = cell * this.chunkSize;
      const missing = upload.missing.some(([low, high]) => low <= start && start < high);
      if (start < end && !missing) this.release(start);
    }
    if (this.iterator === undefined) {
      this.iterator = iterate(this.blocks);
      void this.fill(this.iterator);
    }
  }

  private async fill(iterator: AsyncIterator<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await iterator.next();
        if (done || this.closed) break;
        await this.take(value);
      }
      this.size = this.offered;
    } catch (cause) {
      this.broken = new UploadError("source-failed", { detail: String(cause) }, { cause });
    }
    this.wake();
  }

  private async take(block: Uint8Array): Promise<void> {
    // The caller may reuse the block.
    let rest = block.slice();
    while (rest.length > 0) {
      while (this.held >= this.limit && !this.closed) {
        await new Promise<void>((resolve) => (this.resume = resolve));
      }
      if (this.closed) return;
      const at = this.offered % this.chunkSize;
      const part = rest.subarray(0, this.chunkSize - at);
      this.append((this.offered - at) / this.chunkSize, part);
      rest = rest.subarray(part.length);
      this.wake();
    }
  }

  private append(index: number, part: Uint8Array): void {
    const cell = this.cells.get(index) ?? { parts: [], size: 0 };
    this.cells.set(index, cell);
    cell.parts.push(part);
    cell.size += part.length;
    this.offered += part.length;
    this.held += part.length;
  }

  check(): void {
    if (this.broken !== undefined) throw this.broken;
  }

  slice(): undefined {
    return undefined;
  }

  read(start: number, end: number): Promise<Piece> {
    return this.piece(start, end);
  }

  async piece(start: number, end: number): Promise<Piece> {
    const skipped = start % this.chunkSize;
    const cell = this.cells.get((start - skipped) / this.chunkSize);
    if (cell === undefined || cell.size < skipped + end - start) {
      throw new UploadError("source-failed", { detail: "The server asks for bytes that are no longer buffered." });
    }
    const whole = new Uint8Array(ROOM + cell.size);
    let at = ROOM;
    for (const part of cell.parts) {
      whole.set(part, at);
      at += part.length;
    }
    const data = whole.subarray(ROOM + skipped, ROOM + skipped + end - start);
    return { data, crc32c: (await crc32cHere())(data), done: () => undefined };
  }

  whole(): Promise<never> {
    return Promise.reject(new UploadError("source-failed", { detail: "A stream is read once only." }));
  }

  release(start: number): void {
    const index = Math.floor(start / this.chunkSize);
    this.held -= this.cells.get(index)?.size ?? 0;
    this.cells.delete(index);
    this.resume();
  }

  confirm(): Promise<void> {
    return Promise.resolve(); // a stream has no earlier state to compare with
  }

  close(): void {
    this.closed = true;
    this.cells.clear();
    this.resume();
    // Stops the recording or download behind the stream.
    void this.iterator?.return?.()?.catch(() => undefined);
  }
}

/** Not every browser can iterate a ReadableStream. */
function iterate(
  blocks: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncIterator<Uint8Array> {
  if (Symbol.asyncIterator in blocks) {
    return (blocks as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  }
  const reader = (blocks as ReadableStream<Uint8Array>).getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? { done: true, value: undefined } : { done: false, value };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
