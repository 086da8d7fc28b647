/**
 * One upload by plain HTTP, piece by piece, for networks and policies that refuse WebSocket.
 * Source: docs/http-api.md, "Uploads".
 */

import { hasCode } from "../protocol/errors.js";
import { asRanges, type CompleteFile, openedUpload, spoken } from "../protocol/messages.js";
import { Pieces, type Range } from "../protocol/pieces.js";
import { judge } from "../protocol/retry.js";
import type { Summed } from "../source/sums.js";
import { fileOf, finish } from "./finish.js";
import type { Api, Json } from "./http.js";
import type { Payload } from "./transfer.js";

/** Browsers open six connections to a server. The page needs some of them. */
const AT_ONCE = 4;
/** How many pieces in a row may arrive damaged before the upload fails. */
const MOST_DAMAGED = 5;

export class HttpTransfer {
  private pieces!: Pieces;
  private id = "";
  private running = 0;
  private damaged = 0;
  private phase: "sending" | "finishing" = "sending";
  private readonly over = new AbortController();
  private readonly signal: AbortSignal;
  private resolve!: (file: CompleteFile) => void;
  private reject!: (error: unknown) => void;

  constructor(
    private readonly payload: Payload,
    private readonly api: Api,
  ) {
    this.signal = AbortSignal.any([payload.signal, this.over.signal]);
  }

  /** The finished file. Rejects with Retry or UploadError, or when the signal is aborted. */
  async run(): Promise<CompleteFile> {
    const { payload } = this;
    const ended = new Promise<CompleteFile>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    const stop = (): void => this.reject(payload.signal.reason);
    payload.signal.addEventListener("abort", stop);
    try {
      await Promise.race([ended, this.open()]);
      this.pump();
      return await ended;
    } finally {
      payload.signal.removeEventListener("abort", stop);
      this.over.abort();
    }
  }

  private async open(): Promise<void> {
    const { entry, source, listener } = this.payload;
    const found =
      "id" in entry
        ? await this.request("GET", `/v1/uploads/${entry.id}`)
        : await this.request("POST", "/v1/uploads", spoken(entry.request));
    this.signal.throwIfAborted(); // an ended transfer reports nothing
    const upload = openedUpload({ ...found, id: found["_id"] });
    this.id = upload.id;
    this.pieces = new Pieces(upload);
    source.opened(upload, AT_ONCE * upload.chunk_size, () => this.pump());
    listener.opened(upload);
    if (upload.state === "ready") this.resolve(fileOf(found));
  }

  private pump(): void {
    try {
      if (this.signal.aborted || this.phase === "finishing") return;
      this.offer();
      while (this.running < AT_ONCE) {
        const piece = this.pieces.take(Number.MAX_SAFE_INTEGER);
        if (piece === null) break;
        void this.send(piece);
      }
      if (this.pieces.size !== null && this.pieces.settled) void this.finish();
    } catch (error) {
      this.reject(error);
    }
  }

  private offer(): void {
    const { source } = this.payload;
    source.check();
    if (this.pieces.size !== null) return;
    if (source.size === null) this.pieces.offer(source.offered);
    else this.pieces.end(source.size);
  }

  private async send([start, end]: Range): Promise<void> {
    this.running += 1;
    try {
      const { data, crc32c } = await this.payload.source.read(start, end, true);
      await this.put(start, data, crc32c);
      this.payload.source.release(start);
      this.pieces.arrived(start);
      this.damaged = 0;
      this.payload.listener.stored(this.pieces.stored);
    } catch (error) {
      const size = this.pieces.answered(start);
      if (!hasCode(error, "checksum-mismatch") || this.damaged >= MOST_DAMAGED) return this.failed(error);
      this.damaged += 1;
      this.pieces.again(start, size);
    } finally {
      this.running -= 1;
      this.pump();
    }
  }

  private async put(start: number, body: Summed["data"], crc32c: number): Promise<void> {
    const headers = {
      "Content-Type": "application/octet-stream",
      "X-Lading-Crc32c": String(crc32c),
    };
    const path = `/v1/uploads/${this.id}/chunks/${start}`;
    await this.api.json("PUT", path, { body, headers, signal: this.signal });
  }

  private async finish(): Promise<void> {
    this.phase = "finishing";
    try {
      const { source, listener, sha256 } = this.payload;
      await source.confirm();
      listener.verifying(0);
      const digest = await sha256();
      const finished = await finish(this.api, `/v1/uploads/${this.id}/finish`, {
        json: { size: this.pieces.size, sha256: digest },
        signal: this.signal,
        verifying: (done) => listener.verifying(done),
      });
      this.resolve(finished);
    } catch (error) {
      this.unfinished(error);
    }
  }

  private unfinished(error: unknown): void {
    // The digest of the whole file differs: sending the same bytes again does not help.
    if (hasCode(error, "checksum-mismatch")) return this.reject(error);
    if (!hasCode(error, "incomplete")) return this.failed(error);
    this.pieces.restart(asRanges(error.facts["missing"] ?? []));
    if (this.pieces.settled) return this.failed(error);
    this.phase = "sending";
    this.pump();
  }

  private failed(error: unknown): void {
    try {
      this.reject(judge(error));
    } catch (hopeless) {
      this.reject(hopeless);
    }
  }

  private request(method: string, path: string, json?: unknown): Promise<Json> {
    return this.api.json(method, path, { json, signal: this.signal });
  }
}
