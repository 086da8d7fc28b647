/**
 * What the caller may choose, and what counts where nothing is chosen.
 *
 * Owns the options and their defaults. Refuses to know what is done with them.
 */

import type { Cargo, Request, Transport } from "./attempts.js";
import { realTiming, type Timing } from "./backoff.js";
import type { SocketConstructor } from "./connection.js";
import { Credential, type Token } from "./credential.js";
import { Api } from "./http.js";
import { type Network, realNetwork } from "./network.js";
import type { Uploadable } from "./source.js";

export interface UploadOptions {
  /** The server's address; the page's own if not given. */
  readonly url?: string | undefined;
  /** A token, or a function that gives one; the page's cookie if not given. */
  readonly token?: Token;
  /** The file's name; needed for what has none of its own. */
  readonly name?: string | undefined;
  /** The media type; the file's own if not given. */
  readonly type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** 64 hexadecimal digits, if they are known: the server proves them before it says done. */
  readonly sha256?: string | undefined;
  /** Bytes of a piece, if less than the server's own is wanted: for very slow lines. */
  readonly chunkSize?: number | undefined;
  /** By what an unfinished upload is known again; null: always begin a new one. */
  readonly fingerprint?: string | null | undefined;
  /** Go on with this upload, if the server still has it. */
  readonly id?: string | undefined;
  readonly transport?: Transport | undefined;
  /** Seconds of waiting without any progress before it fails; time offline or asleep is free. */
  readonly patience?: number | undefined;
  /** A WebSocket constructor, where there is none built in. */
  readonly WebSocket?: SocketConstructor | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly random?: (() => number) | undefined;
  readonly now?: Timing["now"] | undefined;
  readonly sleep?: Timing["sleep"] | undefined;
  readonly network?: Network | undefined;
}

const PATIENCE = 600;

/** What the source is uploaded as. */
export function nameOf(source: Uploadable, options: UploadOptions): string {
  const own = "name" in source && typeof source.name === "string" ? source.name : "";
  const name = options.name ?? own;
  if (name === "") throw new TypeError("An upload needs a name: give the option `name`.");
  return name;
}

/** The server that is meant. */
export function apiOf(options: UploadOptions): Api {
  const url = options.url ?? (globalThis.location as Location | undefined)?.origin;
  if (url === undefined) throw new TypeError("No server is given: give the option `url`.");
  const base = new URL(url, globalThis.location?.href).href.replace(/\/+$/, "");
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  return new Api(base, new Credential(options.token), fetch);
}

/** What is asked of the server besides the bytes. */
export function requestOf(source: Uploadable, name: string, options: UploadOptions): Request {
  const own = source instanceof Blob && source.type !== "" ? source.type : undefined;
  return {
    name,
    mime_type: options.type ?? own,
    directory: options.directory,
    tags: options.tags,
    sha256: options.sha256,
    chunk_size: options.chunkSize,
  };
}

/** By which way the bytes go, and for how long that is tried. */
export function waysOf(options: UploadOptions): Pick<Cargo, "transport" | "socket" | "patience"> {
  return {
    transport: options.transport ?? "auto",
    socket: options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined),
    patience: options.patience ?? PATIENCE,
  };
}

/** Time and chance. */
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
