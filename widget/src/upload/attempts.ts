/**
 * The attempts that bring one upload to its end: finding an earlier start, choosing the transport, and
 * deciding what a failure means for the next attempt. When an attempt begins is up to `upload.ts`.
 * Source: docs/wire-protocol.md, "Close codes", rule 7.
 */

import { hasCode, networkError, UploadError } from "../protocol/errors.js";
import type { CompleteFile, OpenedUpload, UploadRequest } from "../protocol/messages.js";
import { judge, Retry } from "../protocol/retry.js";
import type { Entry } from "../protocol/sender.js";
import { randomFingerprint } from "../source/fingerprint.js";
import type { Source } from "../source/source.js";
import { Backoff, type Timing } from "../transport/backoff.js";
import type { Put } from "../transport/bucket.js";
import type { SocketConstructor } from "../transport/connection.js";
import type { Api } from "../transport/http.js";
import { HttpTransfer } from "../transport/http-transfer.js";
import { Kinds } from "../transport/kinds.js";
import { Route, type Transport } from "../transport/route.js";
import { type Company, SmallFile } from "../transport/small-file.js";
import { SocketTransfer } from "../transport/socket-transfer.js";
import type { Payload, TransferListener } from "../transport/transfer.js";
import { Direct } from "./direct.js";
import { Foreign } from "./foreign.js";
import { findUnfinished, type Unfinished } from "./lookup.js";
import { advance, idOf, mustLook, type Standing } from "./standing.js";

/** What the caller wants the upload to be, besides its size and its fingerprint. */
export type RequestFields = Omit<UploadRequest, "size" | "fingerprint" | "sha256_follows">;

/** Everything that stays the same for all attempts. */
export interface Plan {
  readonly api: Api;
  readonly source: Source;
  readonly request: RequestFields;
  /** Undefined: the fingerprint of the source. Null: never resume an earlier start. */
  readonly fingerprint: string | null | undefined;
  /** The id of an earlier start, if the caller knows it. */
  readonly id: string | undefined;
  readonly transport: Transport;
  readonly socket: SocketConstructor | undefined;
  readonly timing: Timing;
  /** Whether the SHA-256 is computed while the bytes are sent. */
  readonly digest: boolean;
  /** The most bytes of a file that is sent by one request; 0: every file is an upload in pieces. */
  readonly small: number;
  /** The small files with which this one goes together; undefined: it has a request of its own. */
  readonly company: Company | undefined;
  /** How the bytes are sent to the server's bucket; undefined: they are sent to the server. */
  readonly put: Put | undefined;
  /** Seconds to wait in total, without progress, before the upload fails. */
  readonly patience: number;
}

/** What the attempts report. */
export interface AttemptsListener extends TransferListener {
  /** A small file is being sent by one request. */
  sending(): void;
}

export class Attempts implements TransferListener {
  /** Bytes that an earlier start had stored. */
  resumedFrom = 0;
  private standing: Standing;
  private readonly route: Route;
  private readonly backoff: Backoff;
  private readonly random = randomFingerprint();
  private current: SocketTransfer | undefined;
  /** Set while one request is to carry the whole file. */
  private small: SmallFile | undefined;
  private readonly direct: Direct | undefined;
  private readonly foreign: Foreign;
  private readonly kinds: Kinds;
  /** The SHA-256 that decides whether what is stored belongs to this file, if that is in doubt. */
  private sha256: string | undefined;
  /** An upload starts over once at most. */
  private restarts = 0;
  /** Failures in a row that are tolerated a limited number of times. */
  private doubts = 0;
  /** The most bytes that were ever stored. */
  private reached = 0;

  constructor(
    private readonly plan: Plan,
    private readonly listener: AttemptsListener,
  ) {
    const { id, patience, timing, transport, socket } = plan;
    this.standing = id === undefined ? { state: "unknown" } : { state: "remembered", id };
    this.route = new Route(transport, socket !== undefined, plan.api.base, timing.now);
    this.backoff = new Backoff(patience, timing.random);
    this.sha256 = plan.request.sha256;
    this.kinds = new Kinds(plan.api);
    this.small = smallOf(plan, this.kinds);
    this.direct = this.directOf(plan);
    const shared = (): Promise<string | undefined> => this.sharedFingerprint();
    this.foreign = new Foreign({ ...plan, allowed: transport === "auto", fingerprint: shared }, this);
  }

  /** The absolute form of an address that the server sent. */
  absolute(path: string): string {
    return this.plan.api.absolute(path);
  }

  /** One attempt. Rejects with Retry or UploadError, or when the signal is aborted. */
  async attempt(signal: AbortSignal): Promise<CompleteFile> {
    const { api, socket } = this.plan;
    const token = await this.token();
    if (this.foreign.found) return this.sendByTus(signal);
    const file = await this.sendSmall(signal);
    if (file !== null) return file;
    if (mustLook(this.standing)) await this.look(signal);
    const sent = await this.sendDirect(signal);
    if (sent !== null) return sent;
    const payload = await this.payload(signal);
    if (this.route.transportNow === "http" || socket === undefined) {
      return new HttpTransfer(payload, api).run();
    }
    this.current = new SocketTransfer(payload, token);
    try {
      return await this.current.run(socket, api.channel);
    } finally {
      this.current = undefined;
    }
  }

  /** Seconds to wait before the next attempt. Throws UploadError when there is none. */
  async recover(failure: unknown): Promise<number> {
    this.noteRoute(failure);
    if (await this.foreign.turn(failure)) return 0;
    if (await this.startOver(failure)) return 0;
    // The digest of the whole upload differs: sending the same bytes again does not help.
    if (hasCode(failure, "checksum-mismatch") && this.small === undefined) throw failure;
    const retry = judge(failure);
    if (retry.limit !== undefined) {
      this.doubts += 1;
      if (this.doubts > retry.limit) throw retry.error;
    }
    if (retry.renew) {
      if (!this.plan.api.credential.renewable) throw retry.error;
      this.plan.api.credential.refused();
    }
    const delay = this.backoff.delay(retry.after);
    if (delay === null) throw retry.error;
    return delay;
  }

  /** Delete the upload over the connection that has it open. Returns whether the server did so. */
  async abort(): Promise<boolean> {
    if (this.small !== undefined && !this.foreign.found) return this.removeSmall(this.small);
    return (await this.current?.abort()) ?? false;
  }

  /**
   * Delete what the server has of the upload, by plain HTTP, with retries.
   *
   * Throws UploadError `already-complete` when the upload became a file that this credential, such
   * as a grant's, cannot delete.
   */
  async remove(signal: AbortSignal): Promise<void> {
    let refusal: UploadError | undefined;
    for (;;) {
      try {
        refusal = await this.removeOnce(signal);
        break;
      } catch (error) {
        const seconds = await this.recover(error);
        await this.plan.timing.sleep(seconds * 1000, signal);
      }
    }
    if (refusal !== undefined) throw refusal;
  }

  // -- what a transfer reports

  opened(upload: OpenedUpload): void {
    this.route.opened();
    this.began(upload);
  }

  private began(upload: OpenedUpload): void {
    const resumed = this.standing.state === "remembered";
    this.standing = advance(this.standing, { type: "opened", id: upload.id });
    if (resumed) this.resumedFrom ||= upload.upload_size;
    this.progressed(upload.upload_size);
    this.listener.opened(upload);
  }

  stored(total: number): void {
    this.progressed(total);
    this.listener.stored(total);
  }

  verifying(done: number): void {
    this.listener.verifying(done);
  }

  /** Only more stored bytes than ever before count as progress. */
  private progressed(bytes: number): void {
    if (bytes <= this.reached) return;
    this.reached = bytes;
    this.route.progressed();
    this.backoff.progressed();
    this.doubts = 0;
  }

  // -- how an attempt begins

  private async token(): Promise<string | undefined> {
    try {
      return await this.plan.api.credential.get();
    } catch (error) {
      if (error instanceof UploadError) throw error;
      throw networkError(`The page could not get a token: ${String(error)}`, error);
    }
  }

  private async fingerprint(): Promise<string> {
    const { fingerprint, source } = this.plan;
    if (fingerprint === null) return this.random;
    return fingerprint ?? (await source.fingerprint());
  }

  private async payload(signal: AbortSignal): Promise<Payload> {
    const { source, timing, api } = this.plan;
    const id = idOf(this.standing);
    const entry: Entry = id === undefined ? await this.create() : { id };
    const sha256 = (): Promise<string | undefined> => this.digest(signal);
    if (this.plan.digest) sha256().catch(() => undefined); // now, while the pieces are sent
    return { entry, source, listener: this, credential: api.credential, timing, sha256, signal };
  }

  /** The SHA-256 for the server to check, if one is known or wanted. */
  private async digest(signal: AbortSignal): Promise<string | undefined> {
    if (this.plan.digest) this.sha256 ??= await this.plan.source.sha256(signal);
    return this.sha256;
  }

  private async create(): Promise<Entry> {
    const { request, source } = this.plan;
    const fingerprint = await this.fingerprint();
    this.standing = advance(this.standing, { type: "creating" });
    const sha256_follows = this.plan.digest || undefined;
    return { request: { ...request, size: source.size, fingerprint, sha256_follows } };
  }

  /** Ask for an earlier start, unless only this client can have one and it has sent no CREATE. */
  private async look(signal: AbortSignal): Promise<void> {
    const { source } = this.plan;
    const asks = this.isShared || this.standing.state === "requested";
    const found = asks ? await this.unfinished(signal) : undefined;
    if (found?.doubtful === true) this.sha256 ??= await source.sha256(signal);
    this.standing = advance(this.standing, { type: "looked", id: found?.id });
  }

  private async unfinished(signal: AbortSignal): Promise<Unfinished | undefined> {
    const { api, source, request, fingerprint } = this.plan;
    if (this.foreign.found) return this.foreign.find();
    const directory = await this.kinds.place(request.kind, request.directory ?? "", signal);
    const sought = { name: request.name, directory, fingerprint: await this.fingerprint() };
    return findUnfinished(api, source, { ...sought, alike: fingerprint === undefined }, signal);
  }

  /** Whether another client can have begun the upload. */
  private get isShared(): boolean {
    return this.plan.source.rereadable && this.plan.fingerprint !== null;
  }

  /** The fingerprint, if another client can have begun the upload. */
  private async sharedFingerprint(): Promise<string | undefined> {
    return this.isShared ? this.fingerprint() : undefined;
  }

  /** One attempt at a server of another make. */
  private async sendByTus(signal: AbortSignal): Promise<CompleteFile> {
    if (mustLook(this.standing)) await this.look(signal);
    const address = idOf(this.standing);
    if (address === undefined) this.standing = advance(this.standing, { type: "creating" });
    return this.foreign.send(address, signal);
  }

  // -- past the server

  private directOf({ api, source, request, timing, put }: Plan): Direct | undefined {
    if (put === undefined || !source.rereadable || request.replaces !== undefined) return undefined;
    const fingerprint = (): Promise<string> => this.fingerprint();
    return new Direct({ api, source, request, timing, put, fingerprint }, {
      announcing: () => (this.standing = advance(this.standing, { type: "creating" })),
      opened: (upload) => this.began(upload),
      resumed: (bytes) => this.standing.state === "remembered" && (this.resumedFrom = bytes),
      moved: (total) => this.moved(total),
      verifying: (done) => this.verifying(done),
    });
  }

  private moved(total: number): void {
    if (total > this.reached) {
      this.reached = total;
      this.backoff.progressed();
    }
    this.listener.stored(total);
  }

  /** The finished file; null when its bytes must be sent to the server. */
  private async sendDirect(signal: AbortSignal): Promise<CompleteFile | null> {
    // A grant's token is for one upload, which has a route of its own.
    if (this.direct === undefined || this.plan.api.credential.isGrant) return null;
    const file = await this.direct.attempt(idOf(this.standing), signal);
    if (file === null) this.reached = 0;
    return file;
  }

  // -- a small file

  /** The finished file; null when it must be sent in pieces. */
  private async sendSmall(signal: AbortSignal): Promise<CompleteFile | null> {
    if (this.small === undefined) return null;
    // A grant's token is for one upload, which has a route of its own.
    let file: CompleteFile | null = null;
    if (!this.plan.api.credential.isGrant) {
      this.listener.sending();
      file = await this.small.send(signal);
    }
    if (file === null) this.small = undefined;
    return file;
  }

  /** Delete the file that the running request has stored. Returns whether nothing is left to delete. */
  private async removeSmall(small: SmallFile): Promise<boolean> {
    const id = await small.ended();
    if (id === undefined) return true;
    const refusal = await this.deleteFile(id, new UploadError("already-complete"));
    if (refusal !== undefined) throw refusal;
    return true;
  }

  // -- what a failure means

  private noteRoute(failure: unknown): void {
    if (failure instanceof Retry && failure.unopened) return this.route.unopened();
    const error = failure instanceof Retry ? failure.error : failure;
    if (hasCode(error, "network")) this.route.lostServer();
  }

  /**
   * Give the present upload up in favour of a new one, which is done once: it expired, or an earlier
   * start no longer exists, or it has stored other bytes than the file. Returns whether it did.
   */
  private async startOver(failure: unknown): Promise<boolean> {
    const lost = hasCode(failure, "not-found") && this.standing.state === "remembered";
    const wrong = hasCode(failure, "checksum-mismatch");
    const id = idOf(this.standing);
    if (id === undefined || !(lost || wrong || hasCode(failure, "gone"))) return false;
    if (this.restarts > 0 || !this.plan.source.rereadable) return false;
    this.restarts += 1;
    this.standing = advance(this.standing, { type: "dropped" });
    this.resumedFrom = this.reached = 0;
    if (wrong) await this.delete(id).catch(() => undefined);
    return true;
  }

  // -- deletion

  private async removeOnce(signal: AbortSignal): Promise<UploadError | undefined> {
    if (this.standing.state === "requested") await this.look(signal);
    const id = idOf(this.standing);
    return id === undefined ? undefined : this.delete(id);
  }

  /** Returns why the file stays, when the credential cannot delete it. */
  private async delete(id: string): Promise<UploadError | undefined> {
    const { api } = this.plan;
    if (this.foreign.found) {
      await this.foreign.delete(id);
      return undefined;
    }
    try {
      await api.json("DELETE", `/v1/uploads/${id}`);
    } catch (error) {
      if (isGone(error)) return undefined;
      if (!hasCode(error, "already-complete")) throw error;
      // The upload finished before this client heard of it: it is a file now.
      return this.deleteFile(id, error);
    }
    return undefined;
  }

  private async deleteFile(id: string, refusal: UploadError): Promise<UploadError | undefined> {
    try {
      await this.plan.api.json("DELETE", `/v1/files/${id}`);
    } catch (error) {
      if (hasCode(error, "forbidden")) return refusal;
      if (!isGone(error)) throw error;
    }
    return undefined;
  }
}

function isGone(error: unknown): boolean {
  return hasCode(error, "not-found") || hasCode(error, "gone");
}

function smallOf(plan: Plan, kinds: Kinds): SmallFile | undefined {
  const { api, source, request, small, id, fingerprint, company } = plan;
  const plain = source.rereadable && source.size !== null && request.chunk_size === undefined;
  if (!plain || id !== undefined || fingerprint !== undefined) return undefined;
  if (request.replaces !== undefined) return undefined;
  if (!SmallFile.fits(source.size, request, small)) return undefined;
  return new SmallFile(api, source, request, kinds, company);
}
