/**
 * A small file by one request. Source: docs/http-api.md, "Files".
 *
 * If its answer was lost, the file may be stored. So before the bytes are sent again, a file with the
 * same name, directory, size and SHA-256 is looked for: no file is stored twice.
 */

import { hasCode } from "../protocol/errors.js";
import type { CompleteFile } from "../protocol/messages.js";
import { sha256Of } from "../source/digest.js";
import type { Source } from "../source/source.js";
import type { Api, Json } from "./http.js";
import { fileOf } from "./finish.js";
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
}

export class SmallFile {
  /** Whether a request was sent and its answer not received. */
  private uncertain = false;
  private sha256 = "";
  private running: Promise<CompleteFile | null> = Promise.resolve(null);

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
    const sent = this.once(signal);
    this.running = sent.catch(() => null);
    return sent;
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

  /** Resolves with the file, if it was stored, when the running request has ended. */
  async ended(): Promise<CompleteFile | undefined> {
    return (await this.running) ?? this.found();
  }

  private async once(signal: AbortSignal): Promise<CompleteFile | null> {
    const earlier = await this.found(signal);
    if (earlier !== undefined) return earlier;
    const { data } = await this.source.read(0, this.source.size ?? 0, false);
    const body = new Blob([data]);
    this.sha256 = await sha256Of(body);
    signal.throwIfAborted();
    const { mime_type, sha256 } = this.request;
    const headers: Record<string, string> = { "Content-Digest": digestField(this.sha256) };
    if (mime_type !== undefined) headers["Content-Type"] = mime_type;
    if (sha256 !== undefined) headers["Repr-Digest"] = digestField(sha256);
    this.uncertain = true;
    try {
      const path = `/v1/files?${queryOf(this.request)}`;
      const manifest = await this.api.json("POST", path, { body, headers, signal });
      this.uncertain = false;
      return fileOf(manifest);
    } catch (error) {
      if (!hasCode(error, "network")) this.uncertain = signal.aborted;
      // The server's own limit may be smaller.
      if (hasCode(error, "too-large")) return null;
      throw error;
    }
  }
}

function queryOf({ name, directory, tags, kind }: SmallRequest): string {
  const query = new URLSearchParams({ name });
  if (directory) query.set("directory", directory);
  if (kind !== undefined) query.set("kind", kind);
  for (const tag of tags ?? []) query.append("tag", tag);
  return query.toString();
}

/** A field of RFC 9530 for a SHA-256 in hexadecimal digits. */
function digestField(sha256: string): string {
  const bytes = sha256.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  return `sha-256=:${btoa(String.fromCharCode(...bytes))}:`;
}
