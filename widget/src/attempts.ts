/**
 * The attempts by which one upload reaches its end.
 *
 * Owns finding an earlier start of the same upload, the choice between WebSocket and plain HTTP,
 * and what a failure means for the next attempt. Refuses to know when that begins: pausing,
 * waiting and the network are `upload.ts`'s. Source: docs/wire-protocol.md, "Close codes", rule 7.
 */

import { Backoff, type Timing } from "./backoff.js";
import type { SocketConstructor } from "./connection.js";
import { Again, judge, networkError, UploadError } from "./errors.js";
import { randomFingerprint } from "./fingerprint.js";
import type { Api, Json } from "./http.js";
import { HttpTransfer } from "./http-transfer.js";
import type { CompleteFile, OpenedUpload, Wish } from "./messages.js";
import type { Entry } from "./sender.js";
import type { Source } from "./source.js";
import { type Freight, type Listener, SocketTransfer } from "./transfer.js";

/** Which way the bytes go; `auto` takes plain HTTP where no WebSocket can be opened. */
export type Transport = "auto" | "websocket" | "http";

/** How often in a row a WebSocket may fail to open that did open earlier in this upload. */
const MOST_UNOPENED = 3;

/** What an upload is asked to be, besides its size and its fingerprint. */
export type Request = Omit<Wish, "size" | "fingerprint">;

export interface Cargo {
  readonly api: Api;
  readonly source: Source;
  readonly request: Request;
  /** Undefined: the source's own; null: never go on with an earlier start. */
  readonly fingerprint: string | null | undefined;
  /** An earlier start that is known. */
  readonly id: string | undefined;
  readonly transport: Transport;
  readonly socket: SocketConstructor | undefined;
  readonly timing: Timing;
  /** Seconds to wait in all, without any progress, before a failure is one. */
  readonly patience: number;
}

export class Attempts implements Listener {
  id: string | undefined;
  /** Bytes that an earlier start had stored. */
  resumedFrom = 0;
  private readonly backoff: Backoff;
  private readonly random = randomFingerprint();
  private current: SocketTransfer | undefined;
  private looked = false;
  private asked = false;
  private remembered = false;
  private restarted = false;
  private overHttp = false;
  private unopened = 0;
  private everOpened = false;
  private doubts = 0;
  private reached = 0;

  constructor(
    private readonly cargo: Cargo,
    private readonly listener: Listener,
  ) {
    this.backoff = new Backoff(cargo.patience, cargo.timing.random);
    this.id = cargo.id;
    this.looked = this.remembered = this.id !== undefined;
  }

  /** An address of the server's, absolute. */
  absolute(path: string): string {
    return this.cargo.api.absolute(path);
  }

  /** One attempt. Rejects with Again or UploadError, or when the signal is aborted. */
  async attempt(signal: AbortSignal): Promise<CompleteFile> {
    const { api, socket } = this.cargo;
    const token = await this.token();
    if (!this.looked) await this.look(signal);
    const freight = await this.freight(signal);
    this.overHttp = this.choosesHttp();
    if (this.overHttp || socket === undefined) return new HttpTransfer(freight, api).run();
    this.current = new SocketTransfer(freight, token);
    try {
      return await this.current.run(socket, api.channel);
    } finally {
      this.current = undefined;
    }
  }

  /**
   * What a failure means: the seconds to wait before the next attempt.
   *
   * Throws UploadError when there is to be none.
   */
  async recover(failure: unknown): Promise<number> {
    this.noteOpening(failure);
    if (await this.startOver(failure)) return 0;
    // A digest that differs from all the bytes: the same bytes again do not cure it.
    if (isWrong(failure)) throw failure;
    const again = judge(failure);
    if (again.limit !== undefined) {
      this.doubts += 1;
      if (this.doubts > again.limit) throw again.error;
    }
    if (again.renew) {
      if (!this.cargo.api.credential.renewable) throw again.error;
      this.cargo.api.credential.refused();
    }
    const delay = this.backoff.delay(again.after);
    if (delay === null) throw again.error;
    return delay;
  }

  /** Delete the upload over the connection that has it open; tells whether that was done. */
  async abort(): Promise<boolean> {
    return (await this.current?.abort()) ?? false;
  }

  /** Delete what the server has of the upload, by plain HTTP, tried again as any request. */
  async remove(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        if (this.id === undefined && this.asked) this.id = await this.unfinished(signal);
        if (this.id !== undefined) await this.delete(this.id);
        return;
      } catch (error) {
        const seconds = await this.recover(error);
        await this.cargo.timing.sleep(seconds * 1000, signal);
      }
    }
  }

  // -- what the transfer tells

  opened(upload: OpenedUpload): void {
    if (!this.overHttp) [this.everOpened, this.unopened] = [true, 0];
    if (this.remembered && this.id === upload.id) this.resumedFrom ||= upload.upload_size;
    this.progressed(upload.upload_size);
    this.id = upload.id;
    this.looked = true;
    this.listener.opened(upload);
  }

  stored(total: number): void {
    this.progressed(total);
    this.listener.stored(total);
  }

  verifying(done: number): void {
    this.listener.verifying(done);
  }

  /** Only more stored bytes than ever before are progress. */
  private progressed(bytes: number): void {
    if (bytes <= this.reached) return;
    this.reached = bytes;
    this.backoff.progressed();
    this.doubts = 0;
  }

  // -- how an attempt begins

  private async token(): Promise<string | undefined> {
    try {
      return await this.cargo.api.credential.get();
    } catch (error) {
      if (error instanceof UploadError) throw error;
      throw networkError(`No token could be had: ${String(error)}`, error);
    }
  }

  private choosesHttp(): boolean {
    const { transport, socket } = this.cargo;
    if (transport !== "auto") return transport === "http";
    return socket === undefined || this.unopened >= (this.everOpened ? MOST_UNOPENED : 1);
  }

  private async fingerprint(): Promise<string> {
    const { fingerprint, source } = this.cargo;
    if (fingerprint === null) return this.random;
    return fingerprint ?? (await source.fingerprint());
  }

  private async freight(signal: AbortSignal): Promise<Freight> {
    const { source, timing, api, request } = this.cargo;
    const entry: Entry = this.id === undefined ? await this.wish() : { id: this.id };
    const { sha256 } = request;
    return { entry, source, listener: this, credential: api.credential, timing, sha256, signal };
  }

  private async wish(): Promise<Entry> {
    const { request, source } = this.cargo;
    // If the answer gets lost, the upload must be found again rather than made twice.
    [this.asked, this.looked] = [true, false];
    const fingerprint = await this.fingerprint();
    return { wish: { ...request, size: source.size, fingerprint } };
  }

  /** Before a new upload is made: is a part of it there already? */
  private async look(signal: AbortSignal): Promise<void> {
    const { fingerprint, source } = this.cargo;
    if (this.asked || (source.rereadable && fingerprint !== null)) {
      this.id = await this.unfinished(signal);
      this.remembered = this.id !== undefined && !this.asked;
    }
    this.looked = true;
  }

  /** The id of the newest unfinished upload of the same bytes. */
  private async unfinished(signal: AbortSignal): Promise<string | undefined> {
    const { api, request, source } = this.cargo;
    const query = encodeURIComponent(await this.fingerprint());
    const answer = await api.json("GET", `/v1/uploads?fingerprint=${query}`, { signal });
    const uploads = (answer["uploads"] ?? []) as readonly Json[];
    // A grant may have given it another name and directory.
    const fits = ({ size, name, directory }: Json): boolean =>
      size === source.size &&
      (api.credential.isGrant ||
        (name === request.name && directory === (request.directory ?? "")));
    const found = uploads.find((upload) => upload["state"] === "uploading" && fits(upload));
    return found === undefined ? undefined : String(found["_id"]);
  }

  // -- what a failure means

  private noteOpening(failure: unknown): void {
    if (failure instanceof Again && failure.unopened) this.unopened += 1;
    // Plain HTTP does not pass either: the next attempt is a WebSocket's.
    else if (this.overHttp && isNetwork(failure)) this.unopened = 0;
  }

  /**
   * Whether to begin a fresh upload instead, which is done once: the one on the server expired, or
   * was remembered but is no more, or holds other bytes than the file.
   */
  private async startOver(failure: unknown): Promise<boolean> {
    const code = failure instanceof UploadError ? failure.code : "";
    const lost = code === "gone" || (code === "not-found" && this.remembered);
    const wrong = isWrong(failure);
    if (!(lost || wrong) || this.restarted || !this.cargo.source.rereadable) return false;
    const useless = wrong ? this.id : undefined;
    [this.restarted, this.looked, this.asked, this.remembered] = [true, true, false, false];
    this.id = undefined;
    this.resumedFrom = this.reached = 0;
    if (useless !== undefined) await this.delete(useless).catch(() => undefined);
    return true;
  }

  private async delete(id: string): Promise<void> {
    const { api } = this.cargo;
    try {
      await api.json("DELETE", `/v1/uploads/${id}`);
    } catch (error) {
      if (!(error instanceof UploadError)) throw error;
      if (error.code === "not-found" || error.code === "gone") return;
      // It was finished while nobody knew: then it is a file.
      if (error.code !== "invalid-argument") throw error;
      await api.json("DELETE", `/v1/files/${id}`);
    }
  }
}

/** Whether the whole differs from its digest. Of a single piece it is an Again. */
function isWrong(failure: unknown): failure is UploadError {
  return failure instanceof UploadError && failure.code === "checksum-mismatch";
}

function isNetwork(failure: unknown): boolean {
  const error = failure instanceof Again ? failure.error : failure;
  return error instanceof UploadError && error.code === "network";
}
