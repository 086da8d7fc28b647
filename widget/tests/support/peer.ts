/**
 * A fake server in the same process, which a test can make misbehave. It shares no code with the
 * client but the msgpack library. `tests/server/agreement.test.ts` compares it with the real server.
 */

import { createHash } from "node:crypto";

import { decodeMulti } from "@msgpack/msgpack";

import { TABLES } from "../../src/protocol/tables.js";
import { PeerBucket } from "./bucket.js";
import { type Items, PeerSocket } from "./peer-socket.js";

type Facts = Record<string, unknown>;

export interface Kept {
  readonly id: string;
  readonly request: Facts;
  readonly pieces: Map<number, Uint8Array>;
  state: "uploading" | "ready";
  size: number | null;
  /** Known for files that came by one request. */
  sha256?: string;
}

/** Called with each message. Returns `true` when the test handled it. */
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

let peers = 0;

export class Peer {
  /** Another one for each: all uploads to one server share what they found out about the network. */
  readonly url = `http://peer${++peers}.test`;
  chunkSize = 10;
  window = 20;
  heartbeat = 20;
  /** The tokens that are valid; null: all are. */
  tokens: Set<string | undefined> | null = null;
  readonly uploads = new Map<string, Kept>();
  /** Where clients send bytes past the server, if they ask for it. */
  readonly bucket = new PeerBucket(this);
  /** The directory of each kind of files. */
  readonly kinds = new Map<string, string | null>();
  private created = 0;
  readonly sockets: PeerSocket[] = [];
  /** The messages and requests in order: `CREATE`, `PUT /v1/uploads/…`. */
  readonly heard: string[] = [];
  look: Look = () => undefined;
  /** Which of the subprotocols that are offered it takes: that of older servers. */
  subprotocol: string = TABLES.subprotocol;
  /** Called with each request. Its response, if any, replaces the fake's own. */
  answer: (method: string, path: string) => Response | undefined = () => undefined;
  /** Whether several small files go by one request: older servers do not know that. */
  takesSeveral = true;
  /** Why a file of such a request is not stored. */
  refuseFile: (name: string) => Facts | undefined = () => undefined;
  /** The names of the files of each such request that was carried out. */
  readonly together: string[][] = [];
  /** What was answered to requests with a key: the body and the answer. */
  private readonly keys = new Map<string, { body: string; answer: Facts }>();

  /** The constructor to hand to an upload. */
  readonly WebSocket = ((peer: Peer) =>
    class extends PeerSocket {
      constructor(_url: string, protocols: string[]) {
        super(peer, protocols.find((each) => each === peer.subprotocol)!);
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

  create(asked: Facts): Kept {
    const own = this.kinds.get(asked["kind"] as string);
    const request = own ? { ...asked, directory: own } : asked;
    const id = (this.created += 1).toString(16).padStart(24, "0");
    const upload: Kept = {
      id,
      request,
      pieces: new Map(),
      state: "uploading",
      size: request["size"] as number,
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
      name: upload.request["name"],
      directory: upload.request["directory"] ?? "",
      size: upload.size,
      chunk_size: this.chunkSize,
      upload_size: stored,
      missing: this.missing(upload),
      expires_at: 1_800_000_000,
      state: upload.state,
    };
  }

  file({ id, size, sha256 = null as string | null }: Pick<Kept, "id" | "size"> & { sha256?: string | null }): Facts {
    return {
      id,
      size,
      mime_type: "text/plain",
      sha256,
      crc32c: 1,
      url: `/v1/files/${id}`,
    };
  }

  // -- WebSocket

  receive(socket: PeerSocket, message: Items): void {
    this.heard.push(NAMES[message[0]] ?? String(message[0]));
    if (message[0] === 4) socket.unanswered.add(message[2] as number);
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
        return this.store(socket, second as number, message[3] as number, data as Uint8Array);
      case 5:
        return socket.whenAnswered(() => this.finish(socket, second as Facts));
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

  private store(socket: PeerSocket, start: number, crc32c: number, data: Uint8Array): void {
    const refusal = this.refusal(socket.upload, start, crc32c, data);
    if (refusal !== undefined) return socket.refuse(start, refusal[1]);
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

  /** Why a piece is not stored, as status and code. */
  private refusal(
    upload: Kept | undefined,
    start: number,
    crc32c: number,
    data: Uint8Array,
  ): [status: number, code: string] | undefined {
    const stored = upload?.pieces.get(start);
    const end = upload?.size ?? Infinity;
    const cellEnd = start - (start % this.chunkSize) + this.chunkSize;
    if (sumOf(data) !== crc32c) return [422, "checksum-mismatch"];
    if (data.length === 0 || start + data.length > Math.min(end, cellEnd)) {
      return [422, "out-of-bounds"];
    }
    if (stored !== undefined && String(stored) !== String(data)) return [409, "chunk-conflict"];
    return undefined;
  }

  // -- plain HTTP

  readonly fetch = async (address: unknown, init: RequestInit = {}): Promise<Response> => {
    await Promise.resolve();
    const { origin, pathname, searchParams } = new URL(String(address));
    const method = init.method ?? "GET";
    if (origin === this.bucket.url) return this.bucket.put(pathname, init);
    this.heard.push(`${method} ${pathname}`);
    if (init.signal?.aborted) throw new DOMException("aborted", "AbortError");
    const answer = this.answer(method, pathname);
    if (answer !== undefined) return answer;
    const token = new Headers(init.headers).get("Authorization")?.slice("Bearer ".length);
    if (this.tokens !== null && !this.tokens.has(token)) return refuse(401, "unauthorized");
    return this.route(method, pathname, searchParams, init);
  };

  private async route(
    method: string,
    path: string,
    query: URLSearchParams,
    { body, headers }: RequestInit,
  ): Promise<Response> {
    const [, , , id, what, start] = path.split("/");
    if (path.startsWith("/v1/media")) return this.bucket.media(method, path, query, body);
    if (path === "/v1/kinds") return this.listKinds();
    if (path === "/v1/files") return method === "POST" ? this.small(query, await bytesOf(body)) : this.files(query);
    if (path === "/v1/files/batch") {
      return this.takesSeveral ? this.several(await bytesOf(body), new Headers(headers)) : refuse(405, "method-not-allowed");
    }
    if (id === undefined && method === "GET") return this.list(query.get("fingerprint"));
    if (id === undefined) return this.shown(this.create(JSON.parse(body as string) as Facts), 201);
    const upload = this.uploads.get(id);
    if (upload === undefined) return refuse(404, "not-found");
    if (what === "chunks") {
      const data = await bytesOf(body);
      const crc32c = Number(new Headers(headers).get("X-Lading-Crc32c"));
      const refusal = this.refusal(upload, Number(start), crc32c, data);
      if (refusal !== undefined) return refuse(...refusal);
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
        return refuse(409, "already-complete");
      }
      this.uploads.delete(id);
      return new Response(null, { status: 204 });
    }
    return this.shown(upload);
  }

  private listKinds(): Response {
    return Response.json({ kinds: [...this.kinds].map(([name, directory]) => ({ name, directory })) });
  }

  private small(query: URLSearchParams, data: Uint8Array): Response {
    const request = {
      name: query.get("name"),
      kind: query.get("kind") ?? undefined,
      directory: query.get("directory") ?? "",
      tags: query.getAll("tag"),
    };
    return this.shown(this.keep(request, data), 201);
  }

  private keep(request: Facts, data: Uint8Array): Kept {
    const upload = this.create({ ...request, size: data.length });
    upload.pieces.set(0, data);
    upload.state = "ready";
    upload.sha256 = createHash("sha256").update(data).digest("hex");
    return upload;
  }

  /** Several files by one request, once for each key. */
  private several(data: Uint8Array, headers: Headers): Response {
    const key = headers.get("Idempotency-Key") ?? "";
    const [body, known] = [String(data), this.keys.get(key)];
    if (known !== undefined) return known.body === body ? Response.json(known.answer) : refuse(422, "key-reused");
    const values = [...decodeMulti(data)];
    if (values.length === 0) return refuse(400, "invalid-argument");
    const outcomes: Facts[] = [];
    for (let at = 0; at < values.length; at += 2) {
      const request = values[at] as Facts;
      const problem = this.refuseFile(request["name"] as string);
      if (problem !== undefined) outcomes.push({ problem });
      else outcomes.push({ file: this.manifest(this.keep(request, values[at + 1] as Uint8Array)) });
    }
    this.together.push(values.filter((_, at) => at % 2 === 0).map((request) => (request as Facts)["name"] as string));
    this.keys.set(key, { body, answer: { outcomes } });
    return Response.json({ outcomes });
  }

  private files(query: URLSearchParams): Response {
    const found = [...this.uploads.values()].filter(
      ({ request, state }) =>
        state === "ready" && (request["directory"] ?? "") === (query.get("directory") ?? ""),
    );
    return Response.json({ files: found.map((upload) => this.manifest(upload)), cursor: null });
  }

  private list(fingerprint: string | null): Response {
    const found = [...this.uploads.values()].filter(
      ({ request, state }) =>
        state === "uploading" && (fingerprint === null || request["fingerprint"] === fingerprint),
    );
    return Response.json({ uploads: found.map((upload) => this.manifest(upload)), cursor: null });
  }

  private shown(upload: Kept, status = 200): Response {
    return Response.json(this.manifest(upload), { status });
  }

  manifest(upload: Kept): Facts {
    const { fingerprint, sha256 } = upload.request;
    return { ...this.facts(upload), ...this.file({ sha256: sha256 as string, ...upload }), _id: upload.id, fingerprint };
  }
}

async function bytesOf(body: unknown): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body as Blob).arrayBuffer());
}

export function refuse(status: number, code: string, facts: Facts = {}): Response {
  return Response.json(
    { code, title: code, retryable: false, ...facts },
    { status, headers: { "Content-Type": "application/problem+json" } },
  );
}

/** The CRC-32C of the data, bit by bit. */
function sumOf(data: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
  }
  return ~sum >>> 0;
}
