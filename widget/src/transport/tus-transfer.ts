/**
 * One upload by tus 1.0, to a server of another make: one PATCH after another, each where the last one ended.
 * A Lading server is never sent to this way: it takes pieces, in any order and several at once.
 */

import { hasCode, UploadError } from "../protocol/errors.js";
import type { CompleteFile, OpenedUpload } from "../protocol/messages.js";
import type { Source } from "../source/source.js";
import type { TransferListener } from "./transfer.js";
import type { Tus, TusRequest } from "./tus.js";

/** Bytes of a PATCH, unless the page wants another number. Bodies of that size pass most proxies. */
const CHUNK = 8 * 1024 * 1024;
/** How many times in a row a PATCH may arrive damaged before the upload fails. */
const MOST_DAMAGED = 5;

/** One upload to carry. */
export interface TusPayload {
  readonly source: Source;
  readonly request: TusRequest & { readonly chunk_size?: number | undefined };
  /** The address of an earlier start. */
  readonly address: string | undefined;
  /** By which the upload is found again after a reload; undefined if it cannot be. */
  readonly fingerprint: string | undefined;
  readonly listener: TransferListener;
  /** Aborted to stop at once. What is stored stays on the server. */
  readonly signal: AbortSignal;
}

export class TusTransfer {
  private address = "";
  private offset = 0;
  /** The size of the whole, as far as the server was told. */
  private told: number | null = null;
  private readonly chunk: number;
  private wake: () => void = () => undefined;

  constructor(
    private readonly payload: TusPayload,
    private readonly tus: Tus,
  ) {
    this.chunk = payload.request.chunk_size ?? CHUNK;
  }

  /** The finished file. Rejects with Retry or UploadError, or when the signal is aborted. */
  async run(): Promise<CompleteFile> {
    const { source, listener, request } = this.payload;
    await this.open();
    while (this.told === null || this.offset < this.told) {
      const start = this.offset;
      await this.append(start, await this.next());
      // A stream keeps its bytes until a whole cell is there.
      if (this.offset % this.chunk === 0 || this.offset === this.told) source.release(start);
      listener.stored(this.offset);
    }
    this.tus.finished(this.address);
    const mime_type = request.mime_type ?? "application/octet-stream";
    return { id: this.address, size: this.told, mime_type, sha256: null, crc32c: null, url: this.address };
  }

  private async open(): Promise<void> {
    const { source, request, address, fingerprint, listener, signal } = this.payload;
    if (address === undefined) {
      this.address = await this.tus.create(request, source.size, signal);
      this.told = source.size;
      if (fingerprint !== undefined) this.tus.remember(fingerprint, this.address);
    } else {
      const { offset, size } = await this.tus.look(address, signal);
      [this.address, this.offset, this.told] = [address, offset, size];
    }
    signal.throwIfAborted(); // an ended transfer reports nothing
    const upload = this.opened();
    source.opened(upload, this.chunk, () => this.wake());
    listener.opened(upload);
  }

  private opened(): OpenedUpload {
    return {
      id: this.address,
      name: this.payload.request.name,
      size: this.told ?? this.payload.source.size,
      chunk_size: this.chunk,
      upload_size: this.offset,
      // From the beginning of the cell on, which a stream keeps as a whole.
      missing: [[this.offset - (this.offset % this.chunk), Number.MAX_SAFE_INTEGER]],
      state: "uploading",
    };
  }

  /** Where the next PATCH ends: with its cell, or the file. Waits until a stream has come that far. */
  private async next(): Promise<number> {
    const { source, signal } = this.payload;
    const end = this.offset - (this.offset % this.chunk) + this.chunk;
    for (;;) {
      signal.throwIfAborted();
      source.check();
      if (source.size !== null) return Math.min(end, source.size);
      if (source.offered >= end) return end;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  private async append(start: number, end: number): Promise<void> {
    const { source } = this.payload;
    const size = this.told === null ? source.size : null;
    // With its last byte the file is there.
    if (end === source.size) await source.confirm();
    const offset = await this.sent(start, await this.read(start, end), size);
    // Where it is then, and whether more can come, the next attempt asks.
    if (offset > end || (offset === start && start < end)) throw new UploadError("offset-mismatch");
    this.offset = offset;
    if (size !== null) this.told = size;
  }

  /** The new offset. What arrived damaged is sent again. */
  private async sent(start: number, data: Blob, size: number | null): Promise<number> {
    for (let damaged = 0; ; damaged++) {
      try {
        return await this.tus.append(this.address, start, data, size, this.payload.signal);
      } catch (error) {
        if (!hasCode(error, "checksum-mismatch") || damaged >= MOST_DAMAGED) throw error;
      }
    }
  }

  private async read(start: number, end: number): Promise<Blob> {
    if (start === end) return new Blob();
    const { data } = await this.payload.source.read(start, end, true);
    return data instanceof Blob ? data : new Blob([data]);
  }
}
