/**
 * One WebSocket: opened within a time limit, kept alive, and its end told once.
 *
 * Owns the socket, the signs of life and the backlog of what is sent. Refuses to know what the
 * messages mean. Source: docs/wire-protocol.md, "Connection" and rule 8.
 */

import type { Timing } from "./backoff.js";
import { Again, networkError } from "./errors.js";
import { SUBPROTOCOL } from "./messages.js";

/** What is used of a WebSocket: those of browsers and of the package `ws` fit. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: Uint8Array<ArrayBuffer> | Blob): void;
  close(code?: number): void;
}

export type SocketConstructor = new (url: string, protocol: string) => Socket;

const OPEN_MILLISECONDS = 10_000;
const SILENT_HEARTBEATS = 3;
/** Bytes that wait in the socket before the next piece does not join them. */
const BACKLOG = 4 * 1024 * 1024;
/** Milliseconds between two looks at the backlog: there is no event for it. */
const LOOK = 20;

/** Who is told what comes. Nothing is told after `ended`, which is told once. */
export interface Hearer {
  message(data: ArrayBuffer): void;
  /** Time for a sign of life. */
  idle(): void;
  /** The socket closed with this code; 1006 stands for an end without a word. */
  ended(code: number): void;
}

export class Connection {
  private readonly over = new AbortController();
  private heard: number;
  private said: number;
  /** Milliseconds between signs of life. */
  private rhythm = Infinity;

  private constructor(
    private readonly socket: Socket,
    private readonly timing: Timing,
    private readonly hearer: Hearer,
  ) {
    this.heard = this.said = timing.now();
    socket.onmessage = ({ data }: { data: unknown }) => this.received(data);
    socket.onclose = ({ code }: { code: number }) => this.end(code);
  }

  /** Connect. Throws Again with `unopened` when no WebSocket comes about. */
  static async open(
    constructor: SocketConstructor,
    url: string,
    timing: Timing,
    hearer: Hearer,
    signal: AbortSignal,
  ): Promise<Connection> {
    let socket: Socket;
    try {
      socket = new constructor(url, SUBPROTOCOL);
    } catch (error) {
      throw unopened(String(error)); // a page's policy forbids it
    }
    socket.binaryType = "arraybuffer";
    const opened = await first(socket, timing, signal);
    if (opened && socket.protocol === SUBPROTOCOL) return new Connection(socket, timing, hearer);
    abandon(socket);
    throw unopened("No WebSocket could be opened.");
  }

  /** From now on each side says something every so many seconds. */
  keepAlive(seconds: number): void {
    this.rhythm = Math.max(seconds, 1) * 1000;
    void this.beat();
  }

  send(data: Uint8Array<ArrayBuffer> | Blob): void {
    if (this.over.signal.aborted) return;
    this.said = this.timing.now();
    this.socket.send(data);
  }

  /** Resolves when the socket has room for another piece, or is no more. */
  async room(): Promise<void> {
    while (this.socket.bufferedAmount > BACKLOG && !this.over.signal.aborted) {
      await this.timing.sleep(LOOK, this.over.signal);
    }
  }

  /** Say goodbye, and tell nothing any more. */
  close(): void {
    if (this.over.signal.aborted) return;
    this.over.abort();
    abandon(this.socket);
  }

  private received(data: unknown): void {
    if (this.over.signal.aborted) return;
    this.heard = this.timing.now();
    // Timers of a page in the background are late; what comes in is not.
    if (this.heard - this.said >= this.rhythm) this.hearer.idle();
    if (data instanceof ArrayBuffer) this.hearer.message(data);
    else this.end(1003);
  }

  private async beat(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      const now = this.timing.now();
      const dead = this.heard + SILENT_HEARTBEATS * this.rhythm;
      if (now >= dead) return this.end(1006);
      // A piece on its way over a slow line is a sign of life.
      if (this.socket.bufferedAmount > 0) this.said = now;
      if (now - this.said >= this.rhythm) this.hearer.idle();
      await this.timing.sleep(Math.min(this.said + this.rhythm, dead) - now, signal);
    }
  }

  private end(code: number): void {
    if (this.over.signal.aborted) return;
    this.close();
    this.hearer.ended(code);
  }
}

/** Whether the socket opened, before it failed, time was up or the signal came. */
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
  socket.onerror = () => undefined; // `ws` throws what nobody hears
  socket.close();
}

function unopened(detail: string): Again {
  return new Again(networkError(detail), { unopened: true });
}
