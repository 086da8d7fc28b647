/**
 * A small file by one request, of its own or together with others. Source: docs/http-api.md, "Files".
 *
 * If its answer was lost, the file may be stored. So before the bytes are sent again, a file with the
 * same name, directory, size and SHA-256 is looked for. The first request may also still be under way in
 * the server: so all tries have one key, and the server carries out one of them. No file is stored twice.
 * Files that went together have the key of their request, see `upload/small-files.ts`.
 * Where the site approves files first, the answer may be 202: then the decision is waited for.
 */

import { hasCode, UploadError } from "../protocol/errors.js";
import { type CompleteFile, type Packed, spoken } from "../protocol/messages.js";
import { base64, hex, sha256Here } from "../source/digest.js";
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

/** A file that may go together with others. */
export interface Companion extends Packed {
  /** The key of the request whose answer was lost; undefined while it is sure what became of the file. */
  key: string | undefined;
  /** Send it by a request of its own. */
  readonly alone: () => Promise<Json | null>;
}

/** What was handed over to be done together with others. */
export interface Handed<Result> {
  readonly done: Promise<Result>;
  /** Take it back if nothing was sent of it yet: `done` rejects with `reason`. */
  readonly leave: (reason: unknown) => void;
}

/** Those with whom a file goes together. */
export interface Company {
  /** Whether an answer came that only a Lading server gives. */
  readonly recognized: boolean;
  /** Store a file: one attempt. Gives its manifest; null when it is to be an upload in pieces. */
  store(file: Companion, signal: AbortSignal): Handed<Json | null>;
  /** Wait for the site's decision about a file, when few others do so. */
  decided<Result>(wait: () => Promise<Result>, signal: AbortSignal): Promise<Result>;
}

export class SmallFile {
  /** Whether a request was sent and its answer not received. */
  private uncertain = false;
  /** The id of what the site decides on. */
  private approving: string | undefined;
  private sha256 = "";
  private running: Promise<CompleteFile | null> = Promise.resolve(null);
  private readonly key = hex(crypto.getRandomValues(new Uint8Array(16)));
  /** The key of the request with others whose answer was lost. */
  private sharedKey: string | undefined;
  /** Take the file back while it waits for others. */
  private leave: Handed<unknown>["leave"] = () => undefined;
  private withdrawn = false;

  constructor(
    private readonly api: Api,
    private readonly source: Source,
    private readonly request: SmallRequest,
    private readonly kinds: Kinds,
    /** Undefined: the file has a request of its own. */
    private readonly company?: Company | undefined,
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
    const wait = () => finish(this.api, path, { signal, verifying: () => undefined });
    return this.company === undefined ? wait() : this.company.decided(wait, signal);
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

  /** Send nothing more. Resolves with the id of the file, if it was stored, when the running request has ended. */
  async ended(): Promise<string | undefined> {
    this.withdrawn = true;
    this.leave(new UploadError("cancelled"));
    return (await this.running)?.id ?? this.approving ?? (await this.found())?.id;
  }

  private async once(signal: AbortSignal): Promise<CompleteFile | null> {
    const earlier = await this.found(signal);
    if (earlier !== undefined) return earlier;
    const data = await this.source.whole();
    this.sha256 = await sha256Here(data);
    signal.throwIfAborted();
    if (this.withdrawn) throw new UploadError("cancelled");
    const key = this.sharedKey;
    const sending = this.company ? this.together(this.company, data, signal) : this.alone(data, signal);
    const manifest = await sending.catch((error: unknown) => {
      if (key === undefined || !hasCode(error, "key-reused")) throw error;
      return undefined;
    });
    if (manifest === undefined) {
      // The request whose answer was lost is over now: the file is there, or was not stored.
      this.uncertain = true;
      return this.once(signal);
    }
    if (manifest === null) return null;
    if (manifest["state"] !== "approving") return fileOf(manifest);
    this.approving = String(manifest["_id"]);
    return null;
  }

  /** The manifest of the stored file; null when the server takes it only as an upload in pieces. */
  private async alone(data: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Json | null> {
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
      const manifest = await this.api.json("POST", path, { body: data, headers, signal });
      this.uncertain = false;
      return manifest;
    } catch (error) {
      if (!hasCode(error, "network")) this.uncertain = signal.aborted;
      // The server's own limit may be smaller.
      if (hasCode(error, "too-large")) return null;
      throw error;
    }
  }

  private async together(company: Company, data: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Json | null> {
    let sentAlone = false;
    const file: Companion = {
      request: { ...this.request, size: data.length, sha256: this.request.sha256 ?? this.sha256 },
      data,
      key: this.sharedKey,
      alone: () => {
        signal.throwIfAborted();
        sentAlone = true;
        return this.alone(data, signal);
      },
    };
    const { done, leave } = company.store(file, signal);
    this.leave = leave;
    try {
      return await done;
    } catch (error) {
      // The server's own limit may be smaller.
      if (hasCode(error, "too-large")) return null;
      throw error;
    } finally {
      this.leave = () => undefined;
      this.sharedKey = file.key;
      if (!sentAlone) this.uncertain = file.key !== undefined;
      if (company.recognized) this.api.recognized = true;
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
