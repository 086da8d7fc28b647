/** The options of an upload and their defaults. */

import type { Uploadable } from "../source/source.js";
import { realTiming, type Timing } from "../transport/backoff.js";
import { type Put, putByFetch, putByXhr } from "../transport/bucket.js";
import type { SocketConstructor } from "../transport/connection.js";
import { Credential, type Token } from "../transport/credential.js";
import { Api } from "../transport/http.js";
import { type Network, realNetwork } from "../transport/network.js";
import type { Transport } from "../transport/route.js";
import type { Plan, RequestFields } from "./attempts.js";

export interface UploadOptions {
  /** The server's address, or that of a tus server's uploads. Default: the page's origin. */
  readonly url?: string | undefined;
  /** A token, or a function that returns one. Default: the page's cookie. */
  readonly token?: Token;
  /** The file's name. Required when the source has no name. */
  readonly name?: string | undefined;
  /** The media type. Default: the file's own. */
  readonly type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** One of the kinds of files that the server knows; its limits hold. */
  readonly kind?: string | undefined;
  /** The id of a file whose bytes these replace. It keeps its name, directory, tags and links. */
  readonly replaces?: string | undefined;
  /** 64 hexadecimal digits, if known. The server checks them before it publishes the file. */
  readonly sha256?: string | undefined;
  /** Compute the SHA-256 while the bytes are sent; the server checks it and keeps it. Default: false. */
  readonly digest?: boolean | undefined;
  /** Bytes of a piece, if smaller than the server's default: for very slow networks. */
  readonly chunkSize?: number | undefined;
  /** The text by which an unfinished upload is found again. Null: always start a new one. */
  readonly fingerprint?: string | null | undefined;
  /** Files of at most so many bytes go by one request, without resuming. Default: 0, none. */
  readonly small?: number | undefined;
  /** Send the bytes to the server's bucket, past the server, if it has one. Default: false. */
  readonly direct?: boolean | undefined;
  /** Resume this upload, if the server still has it. */
  readonly id?: string | undefined;
  readonly transport?: Transport | undefined;
  /** Seconds to wait without progress before it fails. Time offline or asleep does not count. */
  readonly patience?: number | undefined;
  /** A WebSocket constructor, where none is built in. */
  readonly WebSocket?: SocketConstructor | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly random?: (() => number) | undefined;
  readonly now?: Timing["now"] | undefined;
  readonly sleep?: Timing["sleep"] | undefined;
  readonly network?: Network | undefined;
}

const PATIENCE = 600;

/** The name under which the source is uploaded. */
export function nameOf(source: Uploadable, options: UploadOptions): string {
  const own = "name" in source && typeof source.name === "string" ? source.name : "";
  const name = options.name ?? own;
  if (name === "") throw new TypeError("The upload needs a name. Set the option `name`.");
  return name;
}

/** The server to upload to. */
export function apiOf(options: UploadOptions): Api {
  const url = options.url ?? (globalThis.location as Location | undefined)?.origin;
  if (url === undefined) throw new TypeError("The upload needs a server. Set the option `url`.");
  const address = new URL(url, globalThis.location?.href).href;
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  return new Api(address, new Credential(options.token), fetch);
}

/** The fields of the request that creates the upload. */
export function requestOf(source: Uploadable, name: string, options: UploadOptions): RequestFields {
  const own = source instanceof Blob && source.type !== "" ? source.type : undefined;
  return {
    name,
    mime_type: options.type ?? own,
    directory: options.directory,
    tags: options.tags,
    kind: options.kind,
    replaces: options.replaces,
    sha256: options.sha256,
    chunk_size: options.chunkSize,
    modified_at: changedAt(source),
  };
}

/** When a file was last changed; not known of other sources. The server takes no time before 1970. */
function changedAt(source: Uploadable): number | undefined {
  const milliseconds: unknown = "lastModified" in source ? source.lastModified : undefined;
  return typeof milliseconds === "number" && milliseconds >= 0 ? milliseconds : undefined;
}

/** How the bytes travel, and how long to keep trying. */
export function routeOf(
  options: UploadOptions,
): Pick<Plan, "transport" | "socket" | "patience" | "small" | "put" | "digest"> {
  return {
    put: options.direct === true ? putOf(options) : undefined,
    digest: options.digest ?? false,
    transport: options.transport ?? "auto",
    socket: options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined),
    patience: options.patience ?? PATIENCE,
    // Whoever asks for one transport wants it for every file.
    small: (options.transport ?? "auto") === "auto" ? (options.small ?? 0) : 0,
  };
}

/** How bytes are sent to a bucket. */
function putOf({ fetch }: UploadOptions): Put {
  const plain = fetch !== undefined || typeof XMLHttpRequest === "undefined";
  return plain ? putByFetch(fetch ?? globalThis.fetch.bind(globalThis)) : putByXhr;
}

/** The clock and the source of randomness. */
export function timingOf({ now, sleep, random }: UploadOptions): Timing {
  return {
    now: now ?? realTiming.now,
    sleep: sleep ?? realTiming.sleep,
    random: random ?? realTiming.random,
  };
}

/** The device's network. */
export function networkOf(options: UploadOptions): Network {
  return options.network ?? realNetwork;
}
