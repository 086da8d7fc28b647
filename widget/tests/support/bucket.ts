/** The fake server's bucket: announcements at the server, and the bytes that come to the bucket itself. */

import { createHash } from "node:crypto";

import { type Kept, type Peer, refuse } from "./peer.js";

type Facts = Record<string, unknown>;

export class PeerBucket {
  readonly url = "http://bucket.test";
  /** Files of more bytes are sent in parts. */
  largestPut = 1000;
  part = 10;
  /** Parts that are listed at once. */
  page = 2;
  /** The bytes of each object, also of one that is still in parts. */
  readonly objects = new Map<string, Map<number, Uint8Array>>();
  /** The requests to the bucket, by their path. */
  readonly heard: string[] = [];
  /** The credentials that were shown to the bucket. */
  readonly credentials = new Set<string | null>();
  /** Called with each request. A status, or status and body, is the answer; what it throws, the network's. */
  answer: (path: string) => number | readonly [status: number, body: string] | undefined = () => undefined;
  /** Called when all bytes of a file are one object. Its response, if any, comes before the file is published. */
  joined: () => Response | undefined = () => undefined;
  /** The files whose parts are joined. */
  private readonly whole = new Set<string>();

  constructor(private readonly peer: Peer) {}

  /** A PUT to the bucket. */
  async put(path: string, { body, headers, signal }: RequestInit): Promise<Response> {
    this.heard.push(path);
    this.credentials.add(new Headers(headers).get("Authorization"));
    signal?.throwIfAborted();
    const answer = this.answer(path);
    if (answer !== undefined) {
      const [status, text] = typeof answer === "number" ? [answer, ""] : answer;
      return new Response(text, { status });
    }
    const [, id = "", start] = path.split("/");
    const data = new Uint8Array(await new Response(body as Blob).arrayBuffer());
    this.object(id).set(Number(start), data);
    return new Response("");
  }

  object(id: string): Map<number, Uint8Array> {
    const found = this.objects.get(id) ?? new Map<number, Uint8Array>();
    this.objects.set(id, found);
    return found;
  }

  // -- what the server says

  async media(method: string, path: string, query: URLSearchParams, body: unknown): Promise<Response> {
    const [, , , id, what] = path.split("/");
    if (id === undefined) return this.told(this.peer.create(JSON.parse(body as string) as Facts), 201);
    const kept = this.peer.uploads.get(id);
    if (kept === undefined) return refuse(404, "not-found");
    if (what === "parts") return this.parts(kept, Number(query.get("from")));
    return method === "POST" ? this.finalize(kept) : this.told(kept, 200);
  }

  private told(kept: Kept, status: number): Response {
    const media = this.peer.manifest(kept);
    const upload = kept.state === "ready" ? null : this.upload(kept);
    return Response.json({ media, upload, download: null }, { status });
  }

  private upload({ id, request, size }: Kept): Facts {
    const headers = { "Content-Type": request["mime_type"] ?? "application/octet-stream" };
    const about = { method: "PUT", headers, expires_at: "2030-01-01T00:00:00Z" };
    if ((size ?? 0) <= this.largestPut) return { ...about, url: `${this.url}/${id}/0`, direct: true };
    const count = Math.ceil((size ?? 0) / this.part);
    const parts = { size: this.part, count, url: `/v1/media/${id}/parts`, headers: {} };
    return { ...about, url: "/v1/g/lg_token", parts };
  }

  private parts({ id, size }: Kept, from: number): Response {
    // The bucket knows no parts of a whole object.
    if (this.whole.has(id)) return refuse(503, "unavailable", { retryable: true });
    const whole = size ?? 0;
    const last = Math.ceil(whole / this.part);
    const to = Math.min(last, from + this.page - 1);
    const parts = [];
    for (let number = from; number <= to; number++) {
      const start = (number - 1) * this.part;
      const stored = this.object(id).has(start);
      const url = `${this.url}/${id}/${start}`;
      parts.push({ number, start, size: Math.min(this.part, whole - start), stored, url, headers: {} });
    }
    return Response.json({ parts, next: to < last ? to + 1 : null, expires_at: "2030-01-01T00:00:00Z" });
  }

  private finalize(kept: Kept): Response {
    if (kept.state === "ready") return Response.json(this.peer.manifest(kept));
    const found = [...this.object(kept.id)].sort(([a], [b]) => a - b);
    const bytes = Uint8Array.from(found.flatMap(([, data]) => [...data]));
    if (bytes.length < (kept.size ?? 0)) return refuse(409, "incomplete", { missing: [[0, kept.size]] });
    this.whole.add(kept.id);
    const early = this.joined();
    if (early !== undefined) return early;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (sha256 !== kept.request["sha256"]) {
      this.peer.uploads.delete(kept.id);
      return refuse(422, "checksum-mismatch");
    }
    kept.pieces.set(0, bytes);
    Object.assign(kept, { state: "ready", sha256 });
    return Response.json(this.peer.manifest(kept));
  }
}
