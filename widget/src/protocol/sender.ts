/**
 * The client's side of one `lading.v1` connection that carries one upload, without the connection.
 *
 * It decides what to send next: HELLO, pieces within the window, damaged pieces again, FINISH. It has
 * no I/O and no clock. The driver passes each message to `receive`, sends what `outgoing` returns, and
 * reads and sends each piece that `next` returns.
 * Source: docs/wire-protocol.md, "Rules" and "Order".
 */

import { fromProblem, type UploadError } from "./errors.js";
import {
  asRanges,
  type ClientMessage,
  type CompleteFile,
  type OpenedUpload,
  type ServerMessage,
  type UploadRequest,
} from "./messages.js";
import { Pieces, type Range } from "./pieces.js";

/** The `ref` of the only upload on the connection. */
export const REF = 0;

/** How many pieces in a row may arrive damaged before the upload fails. */
const MOST_DAMAGED = 5;

/**
 * What a message means for the upload. `parting`: the server is about to close the connection. `piece`: the error is
 * about one piece and not about the file.
 */
export type Event =
  | { readonly type: "opened"; readonly upload: OpenedUpload }
  | { readonly type: "stored"; readonly start: number; readonly size: number }
  | { readonly type: "verifying"; readonly done: number; readonly total: number }
  | { readonly type: "complete"; readonly file: CompleteFile }
  | { readonly type: "closed" }
  | { readonly type: "failed"; readonly error: UploadError; readonly piece: boolean }
  | { readonly type: "parting"; readonly error: UploadError }
  | { readonly type: "away"; readonly retryAfter: number };

/** How the upload is opened: created, or resumed by its id. */
export type Entry = { readonly request: UploadRequest } | { readonly id: string };

type Phase = "opening" | "open" | "finishing" | "leaving";

export class Sender {
  /** How many bytes may be in flight. */
  window = 0;
  /** Seconds after which either side sends something; 0 before WELCOME. */
  heartbeat = 0;
  /** Whether WELCOME has arrived. */
  welcomed = false;
  pieces: Pieces | null = null;
  private phase: Phase = "opening";
  /** Whether OPENED has arrived. */
  private answered = false;
  private damaged = 0;
  private out: ClientMessage[];
  private pings = 0;

  constructor(
    private readonly entry: Entry,
    token: string | undefined,
    client: string,
  ) {
    // The server reads the second message when it has accepted the first: so no round trip lies between them.
    this.out = [
      { type: "hello", token, client },
      "id" in entry
        ? { type: "resume", ref: REF, id: entry.id }
        : { type: "create", ref: REF, request: entry.request },
    ];
  }

  /** Bytes of pieces that `next` returned and the server has not answered. */
  get inFlight(): number {
    return this.pieces?.inFlight ?? 0;
  }

  get finishing(): boolean {
    return this.phase === "finishing";
  }

  /** Whether the upload is open on this connection, so that ABORT is possible. */
  get open(): boolean {
    return this.answered && this.sending;
  }

  /** Whether pieces may be sent. */
  get sending(): boolean {
    return this.phase === "open" || this.phase === "finishing";
  }

  /**
   * Whether the upload is open, every piece was returned by `next` and FINISH has not been sent. When they are sent,
   * FINISH may follow at once: the server lets it wait for them. Not before OPENED: nobody would know the file, should
   * the connection be lost now.
   */
  get spent(): boolean {
    const { pieces } = this;
    return this.answered && this.phase === "open" && pieces !== null && pieces.size !== null && pieces.spent;
  }

  // -- what the driver calls

  /** The server takes the pieces of a new upload before it has opened it. */
  agree({ chunk_size, window }: { readonly chunk_size: number; readonly window: number }): void {
    if (!("request" in this.entry)) return;
    const { size, chunk_size: wanted } = this.entry.request;
    if (size === null || size === 0 || wanted !== undefined) return;
    this.window = window;
    this.pieces = new Pieces({ chunk_size, size, upload_size: 0, missing: [[0, size]] });
    this.phase = "open";
  }

  /** Messages to send now, without chunks. Each is returned once. */
  outgoing(): ClientMessage[] {
    return this.out.splice(0);
  }

  /** The piece to read and send now; null: nothing is left, or the window is full. */
  next(): Range | null {
    if (this.phase !== "open" || this.pieces === null) return null;
    return this.pieces.take(this.window - this.pieces.inFlight);
  }

  /** Ask the server to verify and publish the file. */
  finish(sha256?: string): void {
    this.phase = "finishing";
    this.out.push({ type: "finish", ref: REF, size: this.pieces?.size ?? undefined, sha256 });
  }

  /** Delete the upload on the server, which answers with `closed`. */
  abort(): void {
    this.phase = "leaving";
    this.out.push({ type: "abort", ref: REF });
  }

  /** Send no more pieces. The server still answers those in flight. */
  leave(): void {
    this.phase = "leaving";
  }

  /** Replace the credential before it expires. */
  token(token: string): void {
    this.out.push({ type: "token", token });
  }

  ping(): void {
    this.pings += 1;
    this.out.push({ type: "ping", nonce: this.pings });
  }

  // -- what the server sends

  /** Process one message of the server and return what it means. */
  receive(message: ServerMessage): Event[] {
    if ("ref" in message && message.ref !== null && message.ref !== REF) return [];
    switch (message.type) {
      case "welcome":
        return this.welcome(message.window, message.heartbeat);
      case "window":
        this.window = message.bytes;
        return [];
      case "opened":
        return this.opened(message.upload);
      case "stored":
        return message.pieces.flatMap(([start]) => this.stored(start));
      case "refused":
        return this.refused(message.start, fromProblem(message.problem));
      case "problem":
        if (message.ref === null) return this.parting(fromProblem(message.problem));
        return this.problem(fromProblem(message.problem));
      case "verifying":
        return [{ type: "verifying", done: message.done, total: message.total }];
      case "complete":
        return [{ type: "complete", file: message.file }];
      case "closed":
        return [{ type: "closed" }];
      case "goaway":
        if (this.phase !== "finishing") this.leave();
        return [{ type: "away", retryAfter: message.retryAfter }];
      case "pong":
        return [];
    }
  }

  private welcome(window: number, heartbeat: number): Event[] {
    if (this.welcomed) return [];
    this.welcomed = true;
    this.window = window;
    this.heartbeat = heartbeat;
    return [];
  }

  private opened(upload: OpenedUpload): Event[] {
    if (this.pieces === null) this.pieces = new Pieces(upload);
    else this.pieces.restart(upload.missing);
    this.answered = true;
    // After OPENED of a finished upload the server sends COMPLETE by itself.
    if (this.phase === "opening") this.phase = upload.state === "ready" ? "finishing" : "open";
    return [{ type: "opened", upload }];
  }

  private stored(start: number): Event[] {
    const size = this.pieces?.arrived(start) ?? 0;
    if (size === 0) return [];
    this.damaged = 0;
    return [{ type: "stored", start, size }];
  }

  private refused(start: number, error: UploadError): Event[] {
    const size = this.pieces?.answered(start) ?? 0;
    if (error.code === "checksum-mismatch" && this.damaged < MOST_DAMAGED) {
      this.damaged += 1;
      this.pieces?.again(start, size);
      if (this.phase === "finishing") this.phase = "open"; // FINISH follows the piece once more
      return [];
    }
    return [{ type: "failed", error, piece: true }];
  }

  private problem(error: UploadError): Event[] {
    const late = error.facts["slice_start"];
    if (typeof late === "number") {
      this.pieces?.answered(late);
      if (this.phase === "leaving") return []; // CREATE was refused before it
    }
    if (error.code === "incomplete" && this.open) {
      this.phase = "open";
      this.pieces?.restart(asRanges(error.facts["missing"] ?? []));
      // The server named no missing range: only RESUME can find out what is missing.
      if (this.pieces?.settled) return [{ type: "failed", error, piece: false }];
      return [];
    }
    return [{ type: "failed", error, piece: false }];
  }

  private parting(error: UploadError): Event[] {
    this.phase = "leaving";
    return [{ type: "parting", error }];
  }
}
