/**
 * The client's side of one `lading.v1` connection that carries one upload, without the connection.
 *
 * Owns what to say next: the greeting, pieces within the window, what must be sent again, FINISH.
 * Pure: refuses to know sockets, blobs, clocks and reconnecting. The driver feeds `receive`, sends
 * what `outgoing` gives, and reads and sends each piece that `next` names.
 * Source: docs/wire-protocol.md, "Rules" and "Order".
 */

import { Again, askedWait, fromProblem, judge, networkError, type UploadError } from "./errors.js";
import {
  asRanges,
  type ClientMessage,
  type CompleteFile,
  type OpenedUpload,
  type ServerMessage,
  type Wish,
} from "./messages.js";
import { Pieces, type Range } from "./pieces.js";

/** The one upload's name on its connection. */
export const REF = 0;

/** How often in a row pieces may arrive damaged before the path is called broken. */
const MOST_DAMAGED = 5;

/** What became of the upload. `failed` with `parting`: the connection is about to close. */
export type Event =
  | { readonly type: "opened"; readonly upload: OpenedUpload }
  | { readonly type: "stored"; readonly start: number; readonly size: number }
  | { readonly type: "verifying"; readonly done: number; readonly total: number }
  | { readonly type: "complete"; readonly file: CompleteFile }
  | { readonly type: "closed" }
  | { readonly type: "failed"; readonly error: UploadError }
  | { readonly type: "parting"; readonly error: UploadError }
  | { readonly type: "away"; readonly retryAfter: number };

/** How the upload is entered: made anew, or gone on with by its id. */
export type Entry = { readonly wish: Wish } | { readonly id: string };

type Phase = "greeting" | "opening" | "open" | "finishing" | "leaving";

export class Sender {
  /** The most bytes that may be on their way. */
  window = 0;
  /** Seconds between signs of life; 0 before WELCOME. */
  heartbeat = 0;
  pieces: Pieces | null = null;
  private phase: Phase = "greeting";
  private damaged = 0;
  private out: ClientMessage[];
  private pings = 0;

  constructor(
    private readonly entry: Entry,
    token: string | undefined,
    client: string,
  ) {
    this.out = [{ type: "hello", token, client }];
  }

  /** Bytes of pieces that were taken and are not answered. */
  get inFlight(): number {
    return this.pieces?.inFlight ?? 0;
  }

  get finishing(): boolean {
    return this.phase === "finishing";
  }

  /** Whether WELCOME came. */
  get welcomed(): boolean {
    return this.phase !== "greeting";
  }

  /** Whether the upload is open here, so that it can be ended here. */
  get open(): boolean {
    return this.phase === "open" || this.phase === "finishing";
  }

  /** Whether every byte that there will be is durable, and nobody asked to finish yet. */
  get whole(): boolean {
    const { pieces } = this;
    return this.phase === "open" && pieces !== null && pieces.size !== null && pieces.settled;
  }

  // -- what the driver asks for

  /** Messages to send now, each given once. Chunks are not among them. */
  outgoing(): ClientMessage[] {
    return this.out.splice(0);
  }

  /** The piece to read and send now; null: nothing to send, or no credit for it. */
  next(): Range | null {
    if (this.phase !== "open" || this.pieces === null) return null;
    return this.pieces.take(this.window - this.pieces.inFlight);
  }

  /** Ask the server to verify and publish. */
  finish(sha256?: string): void {
    this.phase = "finishing";
    this.out.push({ type: "finish", ref: REF, size: this.pieces?.size ?? undefined, sha256 });
  }

  /** Delete the upload on the server; answered by `closed`. */
  abort(): void {
    this.phase = "leaving";
    this.out.push({ type: "abort", ref: REF });
  }

  /** Take no more pieces; what is on its way is still answered. */
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

  // -- what the server says

  /** Take one message of the server, and tell what it means. */
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
    if (this.phase !== "greeting") return [];
    this.window = window;
    this.heartbeat = heartbeat;
    this.phase = "opening";
    this.out.push(
      "id" in this.entry
        ? { type: "resume", ref: REF, id: this.entry.id }
        : { type: "create", ref: REF, wish: this.entry.wish },
    );
    return [];
  }

  private opened(upload: OpenedUpload): Event[] {
    this.pieces = new Pieces(upload);
    // A finished upload is followed by COMPLETE without being asked.
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
      return [];
    }
    return [{ type: "failed", error }];
  }

  private problem(error: UploadError): Event[] {
    const late = error.facts["slice_start"];
    if (typeof late === "number") this.pieces?.answered(late);
    if (error.code === "incomplete" && this.phase === "finishing") {
      this.phase = "open";
      this.pieces?.restart(asRanges(error.facts["missing"] ?? []));
      // Nothing named although something is missing: only a fresh look can tell what.
      if (this.pieces?.settled) return [{ type: "failed", error }];
      return [];
    }
    return [{ type: "failed", error }];
  }

  private parting(error: UploadError): Event[] {
    this.phase = "leaving";
    return [{ type: "parting", error }];
  }
}

/** Close codes that say that we broke the protocol: a network that changed bytes may have. */
const OUR_FAULT = new Set([1002, 1003, 1008, 1009]);

/**
 * What the end of a connection means: a reason to try again; throws when there is none.
 *
 * `parting` is the problem that the server told before it closed, if it did.
 */
export function explain(code: number, parting: UploadError | undefined): Again {
  const lost = networkError(`The connection was closed (${code}).`);
  if (code === 4401) return judge(fromProblem({ ...parting?.facts, code: "unauthorized" }));
  if (code === 4403) throw parting ?? fromProblem({ code: "forbidden" });
  if (!OUR_FAULT.has(code)) return new Again(parting ?? lost, { after: askedWait(parting) });
  // 1008 with `unauthorized` is a HELLO that a slow network brought too late.
  const late = parting === undefined || parting.code === "unauthorized";
  return late ? new Again(lost, { limit: 5 }) : judge(parting);
}
