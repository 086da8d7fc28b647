/**
 * The messages of `lading.v1`, to and from bytes.
 *
 * Owns their grammar: one msgpack array whose first item is the message's number. Refuses to know
 * what is sent when. Source: docs/wire-protocol.md, "Messages".
 */

import { decode, Encoder } from "@msgpack/msgpack";

import { type Problem, UploadError } from "./errors.js";
import type { Range } from "./pieces.js";

export const SUBPROTOCOL = "lading.v1";

/** What is asked of the server when an upload is created. Sizes in bytes; null: not known yet. */
export interface Wish {
  readonly name: string;
  readonly size: number | null;
  readonly mime_type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly sha256?: string | undefined;
  readonly fingerprint?: string | undefined;
  readonly chunk_size?: number | undefined;
}

export type ClientMessage =
  | { readonly type: "hello"; readonly token?: string | undefined; readonly client?: string }
  | { readonly type: "create"; readonly ref: number; readonly wish: Wish }
  | { readonly type: "resume"; readonly ref: number; readonly id: string }
  | {
      readonly type: "finish";
      readonly ref: number;
      readonly size?: number | undefined;
      readonly sha256?: string | undefined;
    }
  | { readonly type: "abort"; readonly ref: number }
  | { readonly type: "detach"; readonly ref: number }
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "ping"; readonly nonce: number };

/** An upload as the server knows it: `upload_size` bytes are durable, `missing` are not. */
export interface OpenedUpload {
  readonly id: string;
  readonly name: string;
  readonly size: number | null;
  readonly chunk_size: number;
  readonly upload_size: number;
  readonly missing: readonly Range[];
  readonly state: string;
}

/** A finished file, as COMPLETE tells it. */
export interface CompleteFile {
  readonly id: string;
  readonly size: number;
  readonly mime_type: string;
  readonly sha256: string | null;
  readonly crc32c: number;
  readonly url: string;
}

export type ServerMessage =
  | {
      readonly type: "welcome";
      readonly window: number;
      readonly maxChunkSize: number;
      readonly heartbeat: number;
    }
  | { readonly type: "opened"; readonly ref: number; readonly upload: OpenedUpload }
  | {
      readonly type: "stored";
      readonly ref: number;
      readonly pieces: readonly Range[];
      readonly uploadSize: number;
    }
  | {
      readonly type: "refused";
      readonly ref: number;
      readonly start: number;
      readonly problem: Problem;
    }
  | { readonly type: "window"; readonly bytes: number }
  | { readonly type: "complete"; readonly ref: number; readonly file: CompleteFile }
  | { readonly type: "closed"; readonly ref: number }
  | { readonly type: "problem"; readonly ref: number | null; readonly problem: Problem }
  | { readonly type: "goaway"; readonly reason: string; readonly retryAfter: number }
  | { readonly type: "pong" }
  | {
      readonly type: "verifying";
      readonly ref: number;
      readonly done: number;
      readonly total: number;
    };

// -- out

const encoder = new Encoder({ ignoreUndefined: true });

/** The bytes of a message. Of CHUNK see `chunkHeader`. */
export function encode(message: ClientMessage): Uint8Array<ArrayBuffer> {
  return encoder.encode(items(message));
}

function items(message: ClientMessage): unknown[] {
  switch (message.type) {
    case "hello":
      return [1, { token: message.token, client: message.client }];
    case "create":
      return [2, message.ref, message.wish];
    case "resume":
      return [3, message.ref, message.id];
    case "finish":
      return [5, message.ref, { size: message.size, sha256: message.sha256 }];
    case "abort":
      return [6, message.ref];
    case "detach":
      return [7, message.ref];
    case "token":
      return [8, message.token];
    case "ping":
      return [9, message.nonce];
  }
}

/** The bytes of CHUNK that go before its payload of `size` bytes. */
export function chunkHeader(
  ref: number,
  start: number,
  crc32c: number,
  size: number,
): Uint8Array<ArrayBuffer> {
  const head = encoder.encode([4, ref, start, crc32c]);
  const header = new Uint8Array(head.length + 5);
  header.set(head);
  header[0] = 0x95; // an array of five: the payload follows
  header[head.length] = 0xc6; // bin, with a length of 32 bits
  new DataView(header.buffer).setUint32(head.length + 1, size);
  return header;
}

// -- in

/** The message in the bytes. Throws UploadError `invalid-message` for what is none. */
export function decodeServer(data: ArrayBuffer | Uint8Array): ServerMessage {
  let found: unknown;
  try {
    found = decode(data);
  } catch (cause) {
    throw new UploadError("invalid-message", { detail: String(cause) }, { cause });
  }
  if (!Array.isArray(found) || found.length === 0) invalid("an array");
  const [number, ...rest] = found as unknown[];
  return parse(number, rest);
}

function parse(number: unknown, [first, second, third]: readonly unknown[]): ServerMessage {
  switch (number) {
    case 65: {
      const map = asMap(first);
      return {
        type: "welcome",
        window: asInteger(map["window"]),
        maxChunkSize: asInteger(map["max_chunk_size"]),
        heartbeat: asInteger(map["heartbeat"]),
      };
    }
    case 66:
      return { type: "opened", ref: asInteger(first), upload: openedUpload(asMap(second)) };
    case 67:
      return {
        type: "stored",
        ref: asInteger(first),
        pieces: asRanges(second),
        uploadSize: asInteger(third),
      };
    case 68:
      return {
        type: "refused",
        ref: asInteger(first),
        start: asInteger(second),
        problem: asProblem(third),
      };
    case 69:
      return { type: "window", bytes: asInteger(first) };
    case 70:
      return { type: "complete", ref: asInteger(first), file: completeFile(asMap(second)) };
    case 71:
      return { type: "closed", ref: asInteger(first) };
    case 72:
      return {
        type: "problem",
        ref: first === null ? null : asInteger(first),
        problem: asProblem(second),
      };
    case 73: {
      const map = asMap(first);
      return {
        type: "goaway",
        reason: asText(map["reason"]),
        retryAfter: asInteger(map["retry_after"]),
      };
    }
    case 74:
      if (typeof first === "string" || first instanceof Uint8Array) return { type: "pong" };
      asInteger(first);
      return { type: "pong" };
    case 75:
      return {
        type: "verifying",
        ref: asInteger(first),
        done: asInteger(second),
        total: asInteger(third),
      };
    default:
      return invalid("a known number");
  }
}

/** The facts of OPENED, which are also those of an upload over HTTP. */
export function openedUpload(map: Readonly<Record<string, unknown>>): OpenedUpload {
  const chunkSize = asInteger(map["chunk_size"]);
  if (chunkSize === 0) invalid("a chunk size");
  return {
    id: asText(map["id"]),
    name: asText(map["name"]),
    size: map["size"] == null ? null : asInteger(map["size"]),
    chunk_size: chunkSize,
    upload_size: asInteger(map["upload_size"]),
    missing: asRanges(map["missing"]),
    state: asText(map["state"]),
  };
}

/** The facts of COMPLETE, which are also in the manifest of a finished upload. */
export function completeFile(map: Readonly<Record<string, unknown>>): CompleteFile {
  return {
    id: asText(map["id"]),
    size: asInteger(map["size"]),
    mime_type: asText(map["mime_type"]),
    sha256: map["sha256"] == null ? null : asText(map["sha256"]),
    crc32c: asInteger(map["crc32c"]),
    url: asText(map["url"]),
  };
}

/** Pairs of integers in what may be anything; throws when it is something else. */
export function asRanges(value: unknown): Range[] {
  if (!Array.isArray(value)) invalid("ranges");
  return (value as unknown[]).map((pair) => {
    if (!Array.isArray(pair) || pair.length < 2) invalid("a range");
    const [start, end] = pair as unknown[];
    return [asInteger(start), asInteger(end)] as const;
  });
}

/** A map with text as keys; throws when it is something else. */
export function asMap(value: unknown): Readonly<Record<string, unknown>> {
  const prototype = typeof value === "object" && value && (Object.getPrototypeOf(value) as unknown);
  if (prototype !== Object.prototype) invalid("a map");
  return value as Record<string, unknown>;
}

/** The problem in what may be anything; throws when it is something else. */
export function asProblem(value: unknown): Problem {
  const map = asMap(value);
  return { ...map, code: asText(map["code"]) };
}

function asInteger(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) invalid("an integer");
  return value as number;
}

function asText(value: unknown): string {
  if (typeof value !== "string") invalid("text");
  return value as string;
}

function invalid(wanted: string): never {
  throw new UploadError("invalid-message", { detail: `The server's answer is not ${wanted}.` });
}
