/**
 * One WebSocket: opened within a time limit, kept alive, and its end reported once.
 * Source: docs/wire-protocol.md, "Connection" and rule 8.
 */

import { networkError } from "../protocol/errors.js";
import { Retry } from "../protocol/retry.js";
import { TABLES } from "../protocol/tables.js";
import type { Timing } from "./backoff.js";

/** The part of WebSocket that is used. Browsers and the package `ws` provide it. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** The first one says that pieces need not wait for the answer to CREATE. */
const OFFERED: readonly string[] = [TABLES.early.subprotocol, TABLES.subprotocol];
const OPEN_MILLISECONDS = 10_000;
const SILENT_HEARTBEATS = 3;
/** The next piece waits while the socket's buffer holds more bytes than this. */
const BACKLOG = 4 * 1024 * 1024;
/** Milliseconds between two checks of the buffer, for which there is no event but what the server says. */
const CHECK = 20;

/** Receives what happens on the connection. Nothing follows `ended`, which is called once. */
export interface ConnectionListener {
  message(data: ArrayBuffer): void;
  /** It is time to send a PING. */
  idle(): void;
  /** The socket closed with this code. 1006: the connection was lost. */
  ended(code: number): void;
}

export class Connection {
  private readonly over = new AbortController();
  /** When something was received last, in milliseconds. */
  private heard: number;
  /** When something was sent last, in milliseconds. */
  private said: number;
  private turn: Promise<void> = Promise.resolve();
  private news: () => void = () => undefined;
  /** Milliseconds after which either side sends something. */
  private heartbeat = Infinity;

  private constructor(
    private readonly socket: Socket,
    private readonly timing: Timing,
    private readonly listener: ConnectionListener,
  ) {
    this.heard = this.said = timing.now();
    socket.onmessage = ({ data }: { data: unknown }) => this.received(data);
    socket.onclose = ({ code }: { code: number }) => this.end(code);
  }

  /** Connect. Throws Retry with `unopened` when no WebSocket opens. */
  static async open(
    constructor: SocketConstructor,
    url: string,
    timing: Timing,
    listener: ConnectionListener,
    signal: AbortSignal,
  ): Promise<Connection> {
    let socket: Socket;
    try {
      socket = new constructor(url, [...OFFERED]);
    } catch (error) {
      throw unopened(String(error)); // the page's policy forbids it
    }
    socket.binaryType = "arraybuffer";
    const opened = await first(socket, timing, signal);
    if (opened && OFFERED.includes(socket.protocol)) return new Connection(socket, timing, listener);
    abandon(socket);
    throw unopened("The WebSocket did not open.");
  }

  /** From now on either side sends something at least every `seconds`. */
  keepAlive(seconds: number): void {
    this.heartbeat = Math.max(seconds, 1) * 1000;
    void this.beat();
  }

  /** Whether the server takes pieces before it has answered CREATE. */
  get early(): boolean {
    return this.socket.protocol === TABLES.early.subprotocol;
  }

  send(data: Uint8Array<ArrayBuffer>): void {
    if (this.over.signal.aborted) return;
    this.said = this.timing.now();
    this.socket.send(data);
  }

  /** Bytes that the socket has not passed to the network yet. */
  get backlog(): number {
    return this.socket.bufferedAmount;
  }

  /** Resolves when the socket can take another piece, or is closed; in the order of the calls. */
  writable(): Promise<void> {
    return (this.turn = this.turn.then(() => this.drained()));
  }

  private async drained(): Promise<void> {
    while (this.socket.bufferedAmount > BACKLOG && !this.over.signal.aborted) {
      const news = new Promise<void>((resolve) => (this.news = resolve));
      await Promise.race([this.timing.sleep(CHECK, this.over.signal), news]);
    }
  }

  /** Close the socket and report nothing more. */
  close(): void {
    if (this.over.signal.aborted) return;
    this.over.abort();
    abandon(this.socket);
  }

  private received(data: unknown): void {
    if (this.over.signal.aborted) return;
    this.heard = this.timing.now();
    this.news();
    // Browsers delay the timers of a page in the background, but not its messages.
    if (this.heard - this.said >= this.heartbeat) this.listener.idle();
    if (data instanceof ArrayBuffer) this.listener.message(data);
    else this.end(TABLES.close_codes.TEXT);
  }

  private async beat(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      const now = this.timing.now();
      const dead = this.heard + SILENT_HEARTBEATS * this.heartbeat;
      if (now >= dead) return this.end(TABLES.close_codes.LOST);
      // A large piece on a slow network keeps the connection alive.
      if (this.socket.bufferedAmount > 0) this.said = now;
      if (now - this.said >= this.heartbeat) this.listener.idle();
      await this.timing.sleep(Math.min(this.said + this.heartbeat, dead) - now, signal);
    }
  }

  private end(code: number): void {
    if (this.over.signal.aborted) return;
    this.close();
    this.listener.ended(code);
  }
}

/** Whether the socket opened, before it failed, the time was up or the signal was aborted. */
function first(socket: Socket, timing: Timing, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  return new Promise<boolean>((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
    socket.onclose = () => resolve(false);
    const both = AbortSignal.any([signal, over.signal]);
    void timing.sleep(OPEN_MILLISECONDS, both).then(() => resolve(false));
  }).finally(() => over.abort());
}

function abandon(socket: Socket): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => undefined; // `ws` throws errors that have no handler
  socket.close();
}

function unopened(detail: string): Retry {
  return new Retry(networkError(detail), { unopened: true });
}
