/**
 * A server of another make that speaks tus 1.0: how it is recognised, its requests, and where the page keeps
 * the addresses of unfinished uploads, which such a server does not list.
 * Source: the tus resumable upload protocol 1.0, https://tus.io/protocols/resumable-upload
 */

import { hasCode, networkError, UploadError } from "../protocol/errors.js";
import { base64, sha1Of, sha256Of } from "../source/digest.js";
import { type Api, codeOf, type Exchange, type Request } from "./http.js";

const VERSION = "1.0.0";
/** Milliseconds that the server may take to tell what it speaks. */
const TELLING = 10_000;
/** Milliseconds that one PATCH may take: enough for 8 MiB at 35 kB/s. */
const APPENDING = 240_000;
/** Characters of a refusal that are kept. */
const LONGEST_TEXT = 300;

/** Codes for statuses that mean something else than elsewhere, or come from no proxy. */
const CODES: Readonly<Record<number, string>> = {
  409: "offset-mismatch",
  410: "gone",
  415: "unsupported-media-type",
  423: "unavailable", // another request to the upload has not ended yet
  460: "checksum-mismatch",
  507: "storage-full",
};

/** What the server says about itself. */
interface Features {
  readonly extensions: ReadonlySet<string>;
  readonly checksums: ReadonlySet<string>;
  /** The most bytes of an upload; null: any number. */
  readonly most: number | null;
}

/** The servers that were found to speak tus, by their addresses. All uploads of the page share it. */
const known = new Map<string, Features>();

/** What the upload is to be. */
export interface TusRequest {
  readonly name: string;
  readonly mime_type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly kind?: string | undefined;
  readonly sha256?: string | undefined;
}

/** How far an upload is. `size` is null while the server does not know it. */
export interface TusState {
  readonly offset: number;
  readonly size: number | null;
}

export class Tus {
  private constructor(
    private readonly api: Api,
    private readonly features: Features,
  ) {}

  /** The server, if an earlier upload of this page found that it speaks tus. */
  static known(api: Api): Tus | undefined {
    const features = known.get(api.address);
    return features && new Tus(api, features);
  }

  /** Ask the server whether it speaks tus and takes uploads. Undefined if not, or if it cannot be reached. */
  static async discover(api: Api): Promise<Tus | undefined> {
    const asked = await api.exchange("OPTIONS", api.address, { timeout: TELLING }).catch(() => null);
    const features = asked?.response.ok === true ? featuresOf(asked.response.headers) : undefined;
    if (features === undefined) return undefined;
    known.set(api.address, features);
    return new Tus(api, features);
  }

  /** The address of an unfinished upload of this file, which this browser began. */
  find(fingerprint: string): string | undefined {
    return storage()?.getItem(this.key(fingerprint)) ?? undefined;
  }

  /** Keep the address of an unfinished upload. */
  remember(fingerprint: string, address: string): void {
    try {
      storage()?.setItem(this.key(fingerprint), address);
    } catch {
      // The browser's storage is full: this upload does not outlive the page.
    }
  }

  private forget(address: string): void {
    const kept = storage();
    if (kept === undefined) return;
    for (const key of Object.keys(kept)) {
      if (key.startsWith(this.key("")) && kept.getItem(key) === address) kept.removeItem(key);
    }
  }

  private key(fingerprint: string): string {
    return `lading tus ${this.api.address} ${fingerprint}`;
  }

  /** Create an upload of `size` bytes, or of a size that follows. Returns its address. */
  async create(request: TusRequest, size: number | null, signal: AbortSignal): Promise<string> {
    const { most, extensions } = this.features;
    if (size !== null && most !== null && size > most) throw new UploadError("too-large", { limit: most });
    if (size === null && !extensions.has("creation-defer-length")) {
      throw new UploadError("invalid-argument", { detail: "The server takes no upload of unknown size. Upload a file." });
    }
    const length: Record<string, string> =
      size === null ? { "Upload-Defer-Length": "1" } : { "Upload-Length": String(size) };
    const headers = { ...length, "Upload-Metadata": metadataOf(request) };
    const { response } = await this.send("POST", this.api.address, { headers, signal });
    const location = response.headers.get("Location");
    if (location === null) throw invalid("POST", "Location");
    return new URL(location, this.api.address).href;
  }

  /** How far the upload is. */
  async look(address: string, signal: AbortSignal): Promise<TusState> {
    const { response } = await this.send("HEAD", address, { signal });
    return { offset: offsetOf(response, "HEAD"), size: numberOf(response.headers, "Upload-Length") };
  }

  /** Send the bytes that follow the first `offset`. `size` is told if it was not known. Returns the new offset. */
  async append(address: string, offset: number, data: Blob, size: number | null, signal: AbortSignal): Promise<number> {
    const headers: Record<string, string> = {
      "Content-Type": "application/offset+octet-stream",
      "Upload-Offset": String(offset),
    };
    if (size !== null) headers["Upload-Length"] = String(size);
    const checksum = await this.checksum(data);
    if (checksum !== undefined) headers["Upload-Checksum"] = checksum;
    signal.throwIfAborted();
    const { response } = await this.send("PATCH", address, { body: data, headers, signal, timeout: APPENDING });
    return offsetOf(response, "PATCH");
  }

  /** Every byte has arrived: the server has the file. */
  finished(address: string): void {
    this.forget(address);
  }

  /** Delete the upload, or the file that it became. */
  async delete(address: string): Promise<void> {
    if (!this.features.extensions.has("termination")) {
      const detail = "The server deletes no uploads. What it has expires there.";
      throw new UploadError("method-not-allowed", { detail });
    }
    await this.send("DELETE", address).catch((error: unknown) => {
      if (!hasCode(error, "not-found") && !hasCode(error, "gone")) throw error;
    });
    this.forget(address);
  }

  /** The value of `Upload-Checksum`, if the server verifies one that can be computed here. */
  private async checksum(data: Blob): Promise<string | undefined> {
    const { extensions, checksums } = this.features;
    if (!extensions.has("checksum")) return undefined;
    if (checksums.has("sha256")) return `sha256 ${base64(await sha256Of(data))}`;
    const digest = checksums.has("sha1") ? await sha1Of(data) : undefined;
    return digest && `sha1 ${base64(digest)}`;
  }

  /** Send a request. Rejects with UploadError where it is refused. */
  private async send(method: string, address: string, request: Request = {}): Promise<Exchange> {
    const headers = { ...request.headers, "Tus-Resumable": VERSION };
    let exchange: Exchange;
    try {
      exchange = await this.api.exchange(method, address, { ...request, headers });
    } catch (error) {
      throw error instanceof UploadError ? error : networkError(String(error), error);
    }
    if (!exchange.response.ok) throw refusal(exchange);
    return exchange;
  }
}

function featuresOf(headers: Headers): Features | undefined {
  const versions = listOf(headers, "Tus-Version");
  const extensions = listOf(headers, "Tus-Extension");
  // Some servers name in `Tus-Resumable` alone what they speak.
  const speaks = versions.has(VERSION) || headers.get("Tus-Resumable") === VERSION;
  if (!speaks || !extensions.has("creation")) return undefined;
  const most = numberOf(headers, "Tus-Max-Size");
  return { extensions, checksums: listOf(headers, "Tus-Checksum-Algorithm"), most };
}

function listOf(headers: Headers, name: string): ReadonlySet<string> {
  return new Set((headers.get(name) ?? "").split(",").map((word) => word.trim()));
}

function numberOf(headers: Headers, name: string): number | null {
  const value = headers.get(name);
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null;
}

function offsetOf({ headers }: Response, method: string): number {
  const offset = numberOf(headers, "Upload-Offset");
  if (offset === null) throw invalid(method, "Upload-Offset");
  return offset;
}

function invalid(method: string, header: string): UploadError {
  return new UploadError("internal", { detail: `The server answered ${method} without a readable ${header}.` });
}

/** Pairs of a key and Base64. Servers know `filename` and `filetype`; the others are for their hooks. */
function metadataOf({ name, mime_type, directory, tags, kind, sha256 }: TusRequest): string {
  const pairs: Readonly<Record<string, string | undefined>> = {
    filename: name,
    filetype: mime_type ?? "application/octet-stream",
    relativePath: directory ? `${directory}/${name}` : undefined,
    tags: tags?.join(","),
    kind,
    sha256,
  };
  const texts = Object.entries(pairs).map(([key, value]) => (value ? `${key} ${base64OfText(value)}` : ""));
  return texts.filter(Boolean).join(",");
}

function base64OfText(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** The error for a refusal. Servers write their reasons as text, many of them for people. */
function refusal({ response, text }: Exchange): UploadError {
  const { status, headers } = response;
  const after = numberOf(headers, "Retry-After");
  const facts = after === null ? {} : { retry_after: after };
  const said = text.trim().slice(0, LONGEST_TEXT);
  const detail = `The server answered with HTTP status ${status}.${said && ` ${said}`}`;
  const own = CODES[status] ?? codeOf(status);
  const refused = own === "internal" && status >= 400 && status < 500;
  return new UploadError(refused ? "invalid-argument" : own, { ...facts, detail });
}

/** The browser's storage, if this page may use it. */
function storage(): Storage | undefined {
  try {
    return globalThis.localStorage as Storage | undefined;
  } catch {
    return undefined; // the user forbids it
  }
}
