/**
 * A tiny server in the same process: it speaks the protocol as the page describes it, and does what
 * a test tells it. Shares no code with the client but the msgpack library.
 */

import { decode, encode } from "@msgpack/msgpack";

import type { Socket } from "../src/connection.js";

type Items = [number, ...unknown[]];
type Facts = Record<string, unknown>;

export interface Kept {
  readonly id: string;
  readonly wish: Facts;
  readonly pieces: Map<number, Uint8Array>;
  state: "uploading" | "ready";
  size: number | null;
}

/** What becomes of a message that a test looks at: `true` when the test dealt with it. */
export type Look = (message: Items, socket: PeerSocket) => boolean | void;

const NAMES: Record<number, string> = {
  1: "HELLO",
  2: "CREATE",
  3: "RESUME",
  4: "CHUNK",
  5: "FINISH",
  6: "ABORT",
  8: "TOKEN",
  9: "PING",
};

export class Peer {
  readonly url = "http://peer.test";
  chunkSize = 10;
  window = 20;
  heartbeat = 20;
  /** Tokens that are good; null: all are. */
  tokens: Set<string | undefined> | null = null;
  readonly uploads = new Map<string, Kept>();
  readonly sockets: PeerSocket[] = [];
  /** What was said and asked, in order: `CREATE`, `PUT /v1/uploads/…`. */
  readonly heard: string[] = [];
  look: Look = () => undefined;
  /** Answers a request instead of the peer, when it gives a response. */
  answer: (method: string, path: string) => Response | undefined = () => undefined;
  /** The most bytes that were on their way at once. */
  mostInFlight = 0;

  /** The constructor to hand to an upload. */
  readonly WebSocket = ((peer: Peer) =>
    class extends PeerSocket {
      constructor(_url: string, protocol: string) {
        super(peer, protocol);
      }
    })(this);

  /** The bytes of the only upload. */
  get bytes(): Uint8Array {
    const [upload] = [...this.uploads.values()];
    const pieces = [...(upload?.pieces ?? [])].sort(([a], [b]) => a - b);
    return Uint8Array.from(pieces.flatMap(([, data]) => [...data]));
  }

  get socket(): PeerSocket {
    return this.sockets.at(-1)!;
  }

  count(what: string): number {
    return this.heard.filter((heard) => heard.startsWith(what)).length;
  }

  create(wish: Facts): Kept {
    const id = (this.uploads.size + 1).toString(16).padStart(24, "0");
    const upload: Kept = {
      id,
      wish,
      pieces: new Map(),
      state: "uploading",
      size: wish["size"] as number,
    };
    this.uploads.set(id, upload);
    return upload;
  }

  missing({ pieces, size, state }: Kept): Array<[number, number]> {
    if (state === "ready") return [];
    const found: Array<[number, number]> = [];
    let at = 0;
    for (const [start, data] of [...pieces].sort(([a], [b]) => a - b)) {
      if (at < start) found.push([at, start]);
      at = start + data.length;
    }
    if (size !== null && at < size) found.push([at, size]);
    return found;
  }

  facts(upload: Kept): Facts {
    const stored = [...upload.pieces.values()].reduce((sum, data) => sum + data.length, 0);
    return {
      id: upload.id,
      name: upload.wish["name"],
      directory: upload.wish["directory"] ?? "",
      size: upload.size,
      chunk_size: this.chunkSize,
      upload_size: stored,
      missing: this.missing(upload),
      expires_at: 1_800_000_000,
      state: upload.state,
    };
  }

  file({ id, size }: Kept): Facts {
    return {
      id,
      size,
      mime_type: "text/plain",
      sha256: null,
      crc32c: 1,
      url: `/v1/files/${id}`,
    };
  }

  // -- WebSocket

  receive(socket: PeerSocket, message: Items): void {
    this.heard.push(NAMES[message[0]] ?? String(message[0]));
    if (this.look(message, socket) === true) return;
    const [number, first, second, , data] = message;
    switch (number) {
      case 1:
        return this.greet(socket, (first as Facts)["token"] as string | undefined);
      case 2:
        return this.open(socket, this.create(second as Facts));
      case 3: {
        const upload = this.uploads.get(second as string);
        return upload ? this.open(socket, upload) : socket.problem(0, "not-found");
      }
      case 4:
        return this.store(socket, second as number, data as Uint8Array);
      case 5:
        return this.finish(socket, second as Facts);
      case 6:
        this.uploads.delete(socket.upload!.id);
        return socket.say(71, 0);
      case 9:
        return socket.say(74, first);
    }
  }

  private greet(socket: PeerSocket, token: string | undefined): void {
    if (this.tokens !== null && !this.tokens.has(token)) {
      socket.problem(null, "unauthorized");
      return socket.drop(4401);
    }
    const { window, heartbeat } = this;
    socket.say(65, { user_id: "ann", window, max_chunk_size: 100, heartbeat, server: "peer" });
  }

  private open(socket: PeerSocket, upload: Kept): void {
    socket.upload = upload;
    socket.say(66, 0, this.facts(upload));
    if (upload.state === "ready") socket.say(70, 0, this.file(upload));
  }

  private store(socket: PeerSocket, start: number, data: Uint8Array): void {
    this.mostInFlight = Math.max(this.mostInFlight, (socket.inFlight += data.length));
    queueMicrotask(() => socket.stored(start, data));
  }

  private finish(socket: PeerSocket, { size }: Facts): void {
    const upload = socket.upload!;
    upload.size ??= size as number;
    const missing = this.missing(upload);
    if (missing.length > 0) return socket.problem(0, "incomplete", { missing });
    upload.state = "ready";
    socket.say(75, 0, 0, upload.size);
    socket.say(70, 0, this.file(upload));
  }

  // -- plain HTTP

  readonly fetch = async (address: unknown, init: RequestInit = {}): Promise<Response> => {
    await Promise.resolve();
    const { pathname, searchParams } = new URL(String(address));
    const method = init.method ?? "GET";
    this.heard.push(`${method} ${pathname}`);
    if (init.signal?.aborted) throw new DOMException("aborted", "AbortError");
    const told = this.answer(method, pathname);
    if (told !== undefined) return told;
    const token = new Headers(init.headers).get("Authorization")?.slice("Bearer ".length);
    if (this.tokens !== null && !this.tokens.has(token)) return refuse(401, "unauthorized");
    return this.route(method, pathname, searchParams, init.body);
  };

  private async route(
    method: string,
    path: string,
    query: URLSearchParams,
    body: unknown,
  ): Promise<Response> {
    const [, , , id, what, start] = path.split("/");
    if (id === undefined && method === "GET") return this.list(query.get("fingerprint"));
    if (id === undefined) return this.shown(this.create(JSON.parse(body as string) as Facts));
    const upload = this.uploads.get(id);
    if (upload === undefined) return refuse(404, "not-found");
    if (what === "chunks") {
      const data = new Uint8Array(await new Response(body as Blob).arrayBuffer());
      upload.pieces.set(Number(start), data);
      return Response.json({ slice_start: Number(start) });
    }
    if (what === "finish") {
      upload.size ??= (JSON.parse(body as string) as { size: number }).size;
      const missing = this.missing(upload);
      if (missing.length > 0) return refuse(409, "incomplete", { missing });
      upload.state = "ready";
    }
    if (method === "DELETE") {
      if (path.startsWith("/v1/uploads") && upload.state === "ready") {
        return refuse(400, "invalid-argument");
      }
      this.uploads.delete(id);
      return new Response(null, { status: 204 });
    }
    return this.shown(upload);
  }

  private list(fingerprint: string | null): Response {
    const found = [...this.uploads.values()].filter(
      ({ wish, state }) => wish["fingerprint"] === fingerprint && state === "uploading",
    );
    return Response.json({ uploads: found.map((upload) => this.manifest(upload)), cursor: null });
  }

  private shown(upload: Kept): Response {
    return Response.json(this.manifest(upload));
  }

  private manifest(upload: Kept): Facts {
    return { ...this.facts(upload), ...this.file(upload), _id: upload.id };
  }
}

export function refuse(status: number, code: string, facts: Facts = {}): Response {
  return Response.json(
    { code, title: code, retryable: false, ...facts },
    { status, headers: { "Content-Type": "application/problem+json" } },
  );
}

/** One end of a connection, driven by the peer and by the test. */
export class PeerSocket implements Socket {
  binaryType = "blob";
  bufferedAmount = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  upload: Kept | undefined;
  inFlight = 0;
  closed = false;

  constructor(
    private readonly peer: Peer,
    readonly protocol: string,
  ) {
    peer.sockets.push(this);
    queueMicrotask(() => this.tell(this.onopen, {}));
  }

  send(data: Uint8Array<ArrayBuffer> | Blob): void {
    if (data instanceof Blob) void data.arrayBuffer().then((bytes) => this.deliver(bytes));
    else queueMicrotask(() => this.deliver(data.slice()));
  }

  private deliver(data: ArrayBuffer | Uint8Array): void {
    if (!this.closed) this.peer.receive(this, decode(data) as Items);
  }

  close(): void {
    this.closed = true;
  }

  // -- what the test and the peer do

  /** Say a message. */
  say(...items: Items): void {
    if (this.closed) return;
    const data = encode(items);
    this.tell(this.onmessage, { data: data.buffer.slice(0, data.byteLength) });
  }

  problem(ref: number | null, code: string, facts: Facts = {}): void {
    this.say(72, ref, { code, title: code, retryable: false, ...facts });
  }

  refuse(start: number, code: string): void {
    this.say(68, 0, start, { code, title: code, retryable: false });
  }

  /** Keep a piece and acknowledge it. */
  stored(start: number, data: Uint8Array): void {
    this.inFlight -= data.length;
    const upload = this.upload;
    if (upload === undefined || !this.peer.uploads.has(upload.id)) {
      return this.problem(0, "not-found", { slice_start: start });
    }
    upload.pieces.set(start, data.slice());
    const sum = [...upload.pieces.values()].reduce((all, piece) => all + piece.length, 0);
    this.say(67, 0, [[start, data.length]], sum);
  }

  /** End without an answer. */
  drop(code = 1006): void {
    if (this.closed) return;
    this.closed = true;
    this.tell(this.onclose, { code });
  }

  private tell(handler: ((event: never) => void) | null, event: object): void {
    handler?.(event as never);
  }
}
