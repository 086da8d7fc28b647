/** A fake WebSocket that is connected to the fake server. */

import { decode, encode } from "@msgpack/msgpack";

import type { Socket } from "../../src/transport/connection.js";
import type { Kept, Peer } from "./peer.js";

export type Items = [number, ...unknown[]];

/** One end of a connection, driven by the fake server and by the test. */
export class PeerSocket implements Socket {
  binaryType = "blob";
  bufferedAmount = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  upload: Kept | undefined;
  closed = false;
  /** Where the pieces begin that came and have no answer yet. */
  readonly unanswered = new Set<number>();
  /** What was asked by a FINISH that came before all pieces had an answer. */
  private ending: (() => void) | undefined;

  constructor(
    private readonly peer: Peer,
    readonly protocol: string,
  ) {
    peer.sockets.push(this);
    queueMicrotask(() => this.tell(this.onopen, {}));
  }

  send(data: Uint8Array<ArrayBuffer>): void {
    queueMicrotask(() => this.deliver(data.slice()));
  }

  private deliver(data: Uint8Array): void {
    if (!this.closed) this.peer.receive(this, decode(data) as Items);
  }

  close(): void {
    this.closed = true;
  }

  /** Do this when all pieces that came have an answer, as a server does what FINISH asks. */
  whenAnswered(act: () => void): void {
    this.ending = act;
    this.answered();
  }

  private answered(start?: number): void {
    if (start !== undefined) this.unanswered.delete(start);
    const { ending } = this;
    if (ending === undefined || this.unanswered.size > 0) return;
    this.ending = undefined;
    ending();
  }

  // -- what the test and the fake server do

  /** Send a message. */
  say(...items: Items): void {
    if (this.closed) return;
    const data = encode(items);
    this.tell(this.onmessage, { data: data.buffer.slice(0, data.byteLength) });
  }

  problem(ref: number | null, code: string, facts: Record<string, unknown> = {}): void {
    this.say(72, ref, { code, title: code, retryable: false, ...facts });
  }

  refuse(start: number, code: string): void {
    this.say(68, 0, start, { code, title: code, retryable: false });
    this.answered(start);
  }

  /** Store a piece and acknowledge it. */
  stored(start: number, data: Uint8Array): void {
    const upload = this.upload;
    if (upload === undefined || !this.peer.uploads.has(upload.id)) {
      this.problem(0, "not-found", { slice_start: start });
      return this.answered(start);
    }
    upload.pieces.set(start, data.slice());
    const sum = [...upload.pieces.values()].reduce((all, piece) => all + piece.length, 0);
    this.say(67, 0, [[start, data.length]], sum);
    this.answered(start);
  }

  /** Close without an answer. */
  drop(code = 1006): void {
    if (this.closed) return;
    this.closed = true;
    this.tell(this.onclose, { code });
  }

  private tell(handler: ((event: never) => void) | null, event: object): void {
    handler?.(event as never);
  }
}
