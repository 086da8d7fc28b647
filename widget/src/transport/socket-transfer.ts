/**
 * One upload over one WebSocket, from HELLO to COMPLETE or to the end of the connection.
 *
 * It joins the protocol's `Sender` to a connection and a source. It does not reconnect: it ends with
 * the file or with an error, and `upload/attempts.ts` decides what an error means.
 */

import { fromProblem, hasCode, type UploadError } from "../protocol/errors.js";
import { chunkHeader, type CompleteFile, decodeServer, encode } from "../protocol/messages.js";
import type { Range } from "../protocol/pieces.js";
import { explainClose, judge, Retry } from "../protocol/retry.js";
import { type Event, REF, Sender } from "../protocol/sender.js";
import { TABLES } from "../protocol/tables.js";
import type { Piece } from "../source/piece-reader.js";
import { CLIENT } from "../version.js";
import { Connection, type SocketConstructor } from "./connection.js";
import type { Payload } from "./transfer.js";

/** Milliseconds to wait for WELCOME, and for CLOSED after ABORT. */
const PATIENCE = 10_000;
/** Milliseconds between two looks at the pieces in flight, and how many see no step before it ends. */
const LOOK = 15_000;
const STALLED = 8;

export class SocketTransfer {
  private connection: Connection | undefined;
  private readonly sender: Sender;
  private readonly over = new AbortController();
  /** Bytes of pieces that are being read and are not yet passed to the connection. */
  private taken = 0;
  /** How many pieces were sent or answered. */
  private steps = 0;
  /** Whether the WebSocket is the browser's own, which copies what it sends at once. */
  private native = false;
  /** Why nothing more is sent, while the server still answers pieces in flight. */
  private leaving: Retry | undefined;
  /** The problem that the server sent before it closes the connection. */
  private parting: UploadError | undefined;
  /** Whether the digest for FINISH is waited for. */
  private asked = false;
  /** Ends the wait for the answer to ABORT. */
  private aborted: (deleted: boolean) => void = () => undefined;
  private resolve!: (file: CompleteFile) => void;
  private reject!: (error: unknown) => void;
  private readonly ended: Promise<CompleteFile>;

  constructor(
    private readonly payload: Payload,
    token: string | undefined,
  ) {
    this.sender = new Sender(payload.entry, token, CLIENT);
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.ended.catch(() => undefined); // it may reject before `run` awaits it
  }

  /** The finished file. Rejects with Retry or UploadError, or when the signal is aborted. */
  async run(constructor: SocketConstructor, url: string): Promise<CompleteFile> {
    const { signal, timing } = this.payload;
    this.native = constructor === globalThis.WebSocket;
    const stop = (): void => this.reject(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      const listener = {
        message: this.guarded((data: ArrayBuffer) => this.receive(data)),
        idle: this.guarded(() => this.ping()),
        ended: this.guarded((code: number) => this.reject(explainClose(code, this.parting))),
      };
      this.connection = await Connection.open(constructor, url, timing, listener, signal);
      if (signal.aborted) stop();
      if (this.connection.early) this.sender.agree(TABLES.early);
      void this.watchGreeting();
      void this.watchPieces(this.connection);
      this.pump();
      return await this.ended;
    } finally {
      signal.removeEventListener("abort", stop);
      this.over.abort();
      this.connection?.close();
      this.aborted(false);
    }
  }

  /** Delete the upload on the server. Returns whether the server confirmed it. */
  async abort(): Promise<boolean> {
    if (!this.sender.open || this.over.signal.aborted) return false;
    const answered = new Promise<boolean>((resolve) => (this.aborted = resolve));
    this.sender.abort();
    this.pump();
    const late = this.payload.timing.sleep(PATIENCE, this.over.signal).then(() => false);
    return Promise.race([answered, late]);
  }

  // -- receiving

  private receive(data: ArrayBuffer): void {
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
    const { source, listener } = this.payload;
    switch (event.type) {
      case "opened":
        source.opened(
          event.upload,
          this.sender.window,
          this.guarded(() => this.pump()),
        );
        return listener.opened(event.upload);
      case "stored":
        this.steps += 1;
        source.release(event.start);
        listener.stored(this.sender.pieces?.stored ?? 0);
        return this.maybeVerifying();
      case "verifying":
        return listener.verifying(event.done);
      case "complete":
        return this.resolve(event.file);
      case "closed":
        return this.aborted(true);
      case "parting":
        this.parting = event.error; // the close code that follows decides what it means
        return;
      case "away": {
        const error = fromProblem({ code: "shutting-down" });
        return this.leave(new Retry(error, { after: Math.min(event.retryAfter, 60) }));
      }
      case "failed":
        return this.failed(event.error, event.piece);
    }
  }

  private failed(error: UploadError, piece: boolean): void {
    // The digest of the whole file differs: sending the same bytes again does not help.
    if (this.sender.finishing && !piece && hasCode(error, "checksum-mismatch")) return this.reject(error);
    this.sender.leave();
    this.leave(judge(error));
  }

  /** Send nothing more, but wait for the answers to the pieces in flight. */
  private leave(reason: Retry): void {
    this.leaving ??= reason;
  }

  private maybeLeave(): void {
    if (this.leaving === undefined || this.sender.finishing) return;
    if (this.sender.inFlight <= this.taken) this.reject(this.leaving);
  }

  // -- sending

  private pump(): void {
    const { connection, sender } = this;
    if (connection === undefined || this.over.signal.aborted) return;
    this.offer();
    for (let piece = sender.next(); piece !== null; piece = sender.next()) void this.send(piece);
    // Right behind the last piece: the server lets it wait until all are durable.
    if (sender.spent && this.taken === 0 && !this.asked) {
      this.finish().catch((error: unknown) => this.reject(error));
    }
    for (const message of sender.outgoing()) connection.send(encode(message));
  }

  /** The digest may take longer than the pieces. */
  private async finish(): Promise<void> {
    const { source, sha256 } = this.payload;
    this.asked = true;
    await source.confirm();
    this.maybeVerifying();
    const digest = await sha256();
    this.asked = false;
    if (!this.sender.spent || this.taken > 0) return;
    this.sender.finish(digest);
    this.maybeVerifying();
    this.pump();
  }

  private maybeVerifying(): void {
    const { asked, sender } = this;
    if ((asked || sender.finishing) && sender.pieces?.settled) this.payload.listener.verifying(0);
  }

  /** For a stream: pass on how far it can be read, and its size once that is known. */
  private offer(): void {
    const { source } = this.payload;
    const { pieces } = this.sender;
    source.check();
    if (pieces === null || pieces.size !== null) return;
    if (source.size === null) pieces.offer(source.offered);
    else pieces.end(source.size);
  }

  private async send([start, end]: Range): Promise<void> {
    const { connection, sender } = this;
    this.taken += end - start;
    let piece: Piece | undefined;
    try {
      piece = await this.payload.source.piece(start, end, this.over.signal);
      await connection?.writable();
      this.taken -= end - start;
      if (this.leaving === undefined && sender.sending) {
        this.steps += 1;
        connection?.send(joined(chunkHeader(REF, start, piece.crc32c, end - start), piece.data));
        if (this.taken === 0) this.pump();
      } else {
        sender.pieces?.answered(start);
        this.maybeLeave();
      }
    } catch (error) {
      this.reject(error);
    } finally {
      piece?.done(this.native);
    }
  }

  private ping(): void {
    this.sender.ping();
    this.pump();
  }

  // -- time

  private async watchGreeting(): Promise<void> {
    await this.payload.timing.sleep(PATIENCE, this.over.signal);
    if (!this.sender.welcomed) this.reject(explainClose(TABLES.close_codes.LOST, this.parting));
  }

  /** A proxy may pass PONG and swallow pieces, so heartbeats do not prove that they arrive. */
  private async watchPieces(connection: Connection): Promise<void> {
    let [seen, stalled] = ["", 0];
    while (stalled < STALLED) {
      await this.payload.timing.sleep(LOOK, this.over.signal);
      if (this.over.signal.aborted) return;
      const now = `${this.steps} ${connection.backlog}`;
      const waits = this.sender.inFlight > this.taken;
      stalled = waits && now === seen ? stalled + 1 : 0;
      seen = now;
    }
    this.reject(explainClose(TABLES.close_codes.LOST, undefined));
  }

  /** Send the server a new token before the old one expires. */
  private async renew(): Promise<void> {
    const { credential, timing } = this.payload;
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
      // The callback failed. It is called again when the server refuses the old token.
    }
  }

  /** An error in an event handler ends the transfer. */
  private guarded<T extends unknown[]>(handler: (...args: T) => void): (...args: T) => void {
    return (...args) => {
      try {
        handler(...args);
      } catch (error) {
        this.reject(error);
      }
    };
  }
}

/** One message: the header goes into the room before the data. */
function joined(head: Uint8Array<ArrayBuffer>, { buffer, byteOffset, length }: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(buffer, byteOffset - head.length, head.length + length);
  message.set(head);
  return message;
}
