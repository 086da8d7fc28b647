/**
 * One upload on one WebSocket, from its opening to COMPLETE or to the end of the connection.
 *
 * Owns joining the protocol's `Sender` to a connection and a source. Refuses to know reconnecting:
 * it ends with the file, or by rejecting, and `upload.ts` decides what that means.
 */

import type { Timing } from "./backoff.js";
import { Connection, type SocketConstructor } from "./connection.js";
import type { Credential } from "./credential.js";
import { Again, judge, type UploadError, fromProblem } from "./errors.js";
import {
  chunkHeader,
  type CompleteFile,
  decodeServer,
  encode,
  type OpenedUpload,
} from "./messages.js";
import { type Entry, type Event, explain, REF, Sender } from "./sender.js";
import type { Range } from "./pieces.js";
import type { Source } from "./source.js";
import type { Summed } from "./sums.js";
import { CLIENT } from "./version.js";

/** Milliseconds until WELCOME must have come, and until CLOSED after ABORT. */
const PATIENCE = 10_000;

/** Who is told how an upload goes on, whatever carries it. */
export interface Listener {
  opened(upload: OpenedUpload): void;
  /** So many bytes more are durable, of so many in all. */
  stored(total: number): void;
  verifying(done: number): void;
}

/** What an upload needs to be carried. */
export interface Freight {
  readonly entry: Entry;
  readonly source: Source;
  readonly listener: Listener;
  readonly credential: Credential;
  readonly timing: Timing;
  readonly sha256: string | undefined;
  /** Aborted to stop at once and leave what is stored as it is. */
  readonly signal: AbortSignal;
}

export class SocketTransfer {
  private connection: Connection | undefined;
  private readonly sender: Sender;
  private readonly over = new AbortController();
  /** Bytes taken to be read and not handed to the connection. */
  private taken = 0;
  private blobs = false;
  private leaving: Again | undefined;
  private parting: UploadError | undefined;
  private closed: () => void = () => undefined;
  private resolve!: (file: CompleteFile) => void;
  private reject!: (error: unknown) => void;
  private readonly ended: Promise<CompleteFile>;

  constructor(
    private readonly freight: Freight,
    token: string | undefined,
  ) {
    this.sender = new Sender(freight.entry, token, CLIENT);
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.ended.catch(() => undefined); // it may fail before `run` waits for it
  }

  /** The finished file. Rejects with Again or UploadError, or when the signal is aborted. */
  async run(constructor: SocketConstructor, url: string): Promise<CompleteFile> {
    const { signal, timing } = this.freight;
    // Of a constructor that was handed in it is not known whether it takes blobs.
    this.blobs = constructor === globalThis.WebSocket;
    const stop = (): void => this.reject(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      const hearer = {
        message: this.guarded((data: ArrayBuffer) => this.hear(data)),
        idle: this.guarded(() => this.ping()),
        ended: this.guarded((code: number) => this.reject(explain(code, this.parting))),
      };
      this.connection = await Connection.open(constructor, url, timing, hearer, signal);
      if (signal.aborted) stop();
      void this.watchGreeting();
      this.pump();
      return await this.ended;
    } finally {
      signal.removeEventListener("abort", stop);
      this.over.abort();
      this.connection?.close();
      this.closed();
    }
  }

  /** Delete the upload on the server. Tells whether the server said that it did. */
  async abort(): Promise<boolean> {
    if (!this.sender.open || this.over.signal.aborted) return false;
    let done = false;
    const answered = new Promise<void>((resolve) => (this.closed = resolve));
    this.onClosed = () => (done = true);
    this.sender.abort();
    this.pump();
    await Promise.race([answered, this.freight.timing.sleep(PATIENCE, this.over.signal)]);
    return done;
  }

  private onClosed: () => void = () => undefined;

  // -- what is heard

  private hear(data: ArrayBuffer): void {
    const message = decodeServer(data);
    const before = this.sender.welcomed;
    for (const event of this.sender.receive(message)) this.notice(event);
    if (!before && this.sender.welcomed) this.welcomed();
    this.maybeLeave();
    this.pump();
  }

  private welcomed(): void {
    this.connection?.keepAlive(this.sender.heartbeat);
    void this.renew();
  }

  private notice(event: Event): void {
    const { source, listener } = this.freight;
    switch (event.type) {
      case "opened":
        source.opened(
          event.upload,
          this.sender.window,
          this.guarded(() => this.pump()),
        );
        return listener.opened(event.upload);
      case "stored":
        source.release(event.start);
        return listener.stored(this.sender.pieces?.stored ?? 0);
      case "verifying":
        return listener.verifying(event.done);
      case "complete":
        return this.resolve(event.file);
      case "closed":
        this.onClosed();
        return this.closed();
      case "parting":
        this.parting = event.error; // the close that follows says what it means
        return;
      case "away": {
        const error = fromProblem({ code: "shutting-down" });
        return this.leave(new Again(error, { after: Math.min(event.retryAfter, 60) }));
      }
      case "failed":
        return this.failed(event.error);
    }
  }

  private failed(error: UploadError): void {
    // A digest that differs is no matter of trying the same bytes again.
    if (this.sender.finishing && error.code === "checksum-mismatch") return this.reject(error);
    this.sender.leave();
    this.leave(judge(error));
  }

  /** Send nothing more, but hear what becomes of the pieces on their way. */
  private leave(reason: Again): void {
    this.leaving ??= reason;
  }

  private maybeLeave(): void {
    if (this.leaving === undefined || this.sender.finishing) return;
    if (this.sender.inFlight <= this.taken) this.reject(this.leaving);
  }

  // -- what is said

  private pump(): void {
    const { connection, sender } = this;
    if (connection === undefined || this.over.signal.aborted) return;
    this.offer();
    for (let piece = sender.next(); piece !== null; piece = sender.next()) void this.carry(piece);
    if (sender.whole) {
      this.freight.source.confirm();
      sender.finish(this.freight.sha256);
      this.freight.listener.verifying(0);
    }
    for (const message of sender.outgoing()) connection.send(encode(message));
  }

  /** Of a stream, say how far it can be read by now, and its length once that is known. */
  private offer(): void {
    const { source } = this.freight;
    const { pieces } = this.sender;
    source.check();
    if (pieces === null || pieces.size !== null) return;
    if (source.size === null) pieces.offer(source.offered);
    else pieces.end(source.size);
  }

  private async carry([start, end]: Range): Promise<void> {
    const { connection, sender } = this;
    this.taken += end - start;
    try {
      const { data, crc32c } = await this.freight.source.read(start, end, this.blobs);
      await connection?.room();
      this.taken -= end - start;
      if (this.leaving === undefined && sender.open) {
        connection?.send(this.joined(chunkHeader(REF, start, crc32c, end - start), data));
      } else {
        sender.pieces?.answered(start);
        this.maybeLeave();
      }
    } catch (error) {
      this.reject(error);
    }
  }

  /** One message of two parts, without a copy where the browser joins them as it sends. */
  private joined(
    head: Uint8Array<ArrayBuffer>,
    data: Summed["data"],
  ): Uint8Array<ArrayBuffer> | Blob {
    if (this.blobs || data instanceof Blob) return new Blob([head, data]);
    const whole = new Uint8Array(head.length + data.length);
    whole.set(head);
    whole.set(data, head.length);
    return whole;
  }

  private ping(): void {
    this.sender.ping();
    this.pump();
  }

  // -- time

  private async watchGreeting(): Promise<void> {
    await this.freight.timing.sleep(PATIENCE, this.over.signal);
    if (!this.sender.welcomed) this.reject(explain(1006, this.parting));
  }

  /** Give the server a new token before the old one expires. */
  private async renew(): Promise<void> {
    const { credential, timing } = this.freight;
    try {
      for (;;) {
        const wait = credential.renewal(timing.now());
        if (wait === null) return;
        await timing.sleep(wait, this.over.signal);
        if (this.over.signal.aborted) return;
        const token = await credential.renewed();
        if (token === undefined) return; // there is no newer one
        this.sender.token(token);
        this.pump();
      }
    } catch {
      // The callback failed; it is asked again when the server refuses the old token.
    }
  }

  /** What fails in an event's handler ends the transfer. */
  private guarded<T extends unknown[]>(handler: (...given: T) => void): (...given: T) => void {
    return (...given) => {
      try {
        handler(...given);
      } catch (error) {
        this.reject(error);
      }
    };
  }
}
