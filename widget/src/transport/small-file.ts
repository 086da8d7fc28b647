/**
 * A small file by one request. Source: docs/http-api.md, "Files".
 *
 * If its answer was lost, the file may be stored. So before the bytes are sent again, a file with the
 * same name, directory, size and SHA-256 is looked for. The first request may also still be under way in
 * the server: so all tries have one key, and the server carries out one of them. No file is stored twice.
 * Where the site approves files first, the answer may be 202: then the decision is waited for.
 */

import { hasCode } from "../protocol/errors.js";
import { type CompleteFile, spoken } from "../protocol/messages.js";
import { base64, hex, sha256Of } from "../source/digest.js";
import type { Source } from "../source/source.js";
import type { Api, Json } from "./http.js";
import { fileOf, finish } from "./finish.js";
import type { Kinds } from "./kinds.js";

/** The longest query. Proxies take addresses of at least 8,000 characters; others are far stricter. */
const LONGEST_QUERY = 2_000;
/** Types that make the server read a body as a form. */
const FORMS = ["multipart/form-data", "application/x-www-form-urlencoded"];
/** Files compared with the one whose answer was lost. */
const COMPARED = 100;

/** What the file is to be, as in the request that creates an upload. */
export interface SmallRequest {
  readonly name: string;
  readonly mime_type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly kind?: string | undefined;
  readonly sha256?: string | undefined;
  readonly modified_at?: number | undefined;
}

export class SmallFile {
  /** Whether a request was sent and its answer not received. */
  private uncertain = false;
  /** The id of what the site decides on. */
  private approving: string | undefined;
  private sha256 = "";
  private running: Promise<CompleteFile | null> = Promise.resolve(null);
  private readonly key = hex(crypto.getRandomValues(new Uint8Array(16)));

  constructor(
    private readonly api: Api,
    private readonly source: Source,
    private readonly request: SmallRequest,
    private readonly kinds: Kinds,
  ) {}

  /** Whether one request can carry the file. */
  static fits(size: number, request: SmallRequest, most: number): boolean {
    const type = (request.mime_type ?? "").toLowerCase();
    if (most === 0 || size > most || FORMS.some((form) => type.startsWith(form))) return false;
    return queryOf(request).length <= LONGEST_QUERY;
  }

  /** The finished file; null when the server takes it only as an upload in pieces. */
  async send(signal: AbortSignal): Promise<CompleteFile | null> {
    if (this.approving === undefined) {
      const sent = this.once(signal);
      this.running = sent.catch(() => null);
      const file = await sent;
      if (this.approving === undefined) return file;
    }
    const path = `/v1/uploads/${this.approving}/finish`;
    return finish(this.api, path, { signal, verifying: () => undefined });
  }

  /** The file that the server has, perhaps although its answer was lost. For when nothing runs. */
  async found(signal?: AbortSignal): Promise<CompleteFile | undefined> {
    if (!this.uncertain) return undefined;
    const { name, kind } = this.request;
    const directory = await this.kinds.place(kind, this.request.directory ?? "", signal);
    const query = new URLSearchParams({ name, directory, limit: String(COMPARED) });
    const { files } = await this.api.json("GET", `/v1/files?${query}`, { signal });
    const same = ((files ?? []) as readonly Json[]).find(
      (file) =>
        file["name"] === name &&
        file["size"] === this.source.size &&
        file["sha256"] === this.sha256,
    );
    return same && fileOf(same);
  }

  /** Resolves with the id of the file, if it was stored, when the running request has ended. */
  async ended(): Promise<string | undefined> {
    return (await this.running)?.id ?? this.approving ?? (await this.found())?.id;
  }

  private async once(signal: AbortSignal): Promise<CompleteFile | null> {
    const earlier = await this.found(signal);
    if (earlier !== undefined) return earlier;
    const { data } = await this.source.read(0, this.source.size ?? 0, false);
    const body = new Blob([data]);
    this.sha256 = await sha256Of(body);
    signal.throwIfAborted();
    const { mime_type, sha256 } = this.request;
    const headers: Record<string, string> = {
      "Content-Digest": digestField(this.sha256),
      "Idempotency-Key": `"${this.key}"`,
    };
    if (mime_type !== undefined) headers["Content-Type"] = mime_type;
    if (sha256 !== undefined) headers["Repr-Digest"] = digestField(sha256);
    this.uncertain = true;
    try {
      const path = `/v1/files?${queryOf(this.request)}`;
      const manifest = await this.api.json("POST", path, { body, headers, signal });
      this.uncertain = false;
      if (manifest["state"] !== "approving") return fileOf(manifest);
      this.approving = String(manifest["_id"]);
      return null;
    } catch (error) {
      if (!hasCode(error, "network")) this.uncertain = signal.aborted;
      // The server's own limit may be smaller.
      if (hasCode(error, "too-large")) return null;
      throw error;
    }
  }
}

function queryOf(request: SmallRequest): string {
  const { name, directory, tags, kind, modified_at } = spoken(request);
  const query = new URLSearchParams({ name });
  if (directory) query.set("directory", directory);
  if (kind !== undefined) query.set("kind", kind);
  if (modified_at !== undefined) query.set("modified_at", modified_at);
  for (const tag of tags ?? []) query.append("tag", tag);
  return query.toString();
}

/** A field of RFC 9530 for a SHA-256 in hexadecimal digits. */
function digestField(sha256: string): string {
  return `sha-256=:${base64(sha256)}:`;
}
