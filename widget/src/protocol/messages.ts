/**
 * The messages of `lading.v1`, to and from bytes: one msgpack array whose first item is the
 * message's number. Source: docs/wire-protocol.md, "Messages".
 */

import { decode, Encoder } from "@msgpack/msgpack";

import { type Problem, UploadError } from "./errors.js";
import type { Range } from "./pieces.js";
import { TABLES } from "./tables.js";

const CLIENT = TABLES.messages.client;
const SERVER = TABLES.messages.server;

/** What CREATE asks for. Sizes are in bytes; null: not known yet. */
export interface UploadRequest {
  readonly name: string;
  readonly size: number | null;
  readonly mime_type?: string | undefined;
  readonly directory?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly sha256?: string | undefined;
  readonly fingerprint?: string | undefined;
  readonly chunk_size?: number | undefined;
  readonly kind?: string | undefined;
  /** Milliseconds since 1970, as `File.lastModified` has it. */
  readonly modified_at?: number | undefined;
  /** The file whose bytes the upload replaces; it keeps its id, name, directory and tags. */
  readonly replaces?: string | undefined;
  /** FINISH will name the SHA-256: the server computes it while the pieces arrive. Only by WebSocket. */
  readonly sha256_follows?: boolean | undefined;
}

/** A request for HTTP, which takes times as text, and does not hear of what follows. */
export function spoken<T extends Pick<UploadRequest, "modified_at" | "sha256_follows">>(
  request: T,
): Omit<T, "modified_at" | "sha256_follows"> & { readonly modified_at?: string } {
  const { modified_at: milliseconds, sha256_follows: _, ...rest } = request;
  return milliseconds === undefined
    ? rest
    : { ...rest, modified_at: new Date(milliseconds).toISOString() };
}

export type ClientMessage =
  | { readonly type: "hello"; readonly token?: string | undefined; readonly client?: string }
  | { readonly type: "create"; readonly ref: number; readonly request: UploadRequest }
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

/** The state of an upload: `upload_size` bytes are durable, the ranges in `missing` are not. */
export interface OpenedUpload {
  readonly id: string;
  readonly name: string;
  readonly size: number | null;
  readonly chunk_size: number;
  readonly upload_size: number;
  readonly missing: readonly Range[];
  readonly state: string;
}

/** A finished file, as COMPLETE describes it. */
export interface CompleteFile {
  readonly id: string;
  readonly size: number;
  readonly mime_type: string;
  readonly sha256: string | null;
  /** Null for a file whose bytes went straight to a bucket. */
  readonly crc32c: number | null;
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

// -- encode

const encoder = new Encoder({ ignoreUndefined: true });

/** The bytes of a message. For CHUNK see `chunkHeader`. */
export function encode(message: ClientMessage): Uint8Array<ArrayBuffer> {
  return encoder.encode(items(message));
}

/** One file of `POST /v1/files/batch`: what it is to be, and its bytes. */
export interface Packed {
  readonly request: UploadRequest;
  readonly data: Uint8Array;
}

/** The body of `POST /v1/files/batch`: for each file two values. Source: docs/http-api.md. */
export function encodeFiles(files: readonly Packed[]): Uint8Array<ArrayBuffer> {
  const parts = files.flatMap(({ request, data }) => [encoder.encode(request), encoder.encode(data)]);
  const body = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

function items(message: ClientMessage): unknown[] {
  switch (message.type) {
    case "hello":
      return [CLIENT.HELLO.number, { token: message.token, client: message.client }];
    case "create":
      return [CLIENT.CREATE.number, message.ref, message.request];
    case "resume":
      return [CLIENT.RESUME.number, message.ref, message.id];
    case "finish":
      return [CLIENT.FINISH.number, message.ref, { size: message.size, sha256: message.sha256 }];
    case "abort":
      return [CLIENT.ABORT.number, message.ref];
    case "detach":
      return [CLIENT.DETACH.number, message.ref];
    case "token":
      return [CLIENT.TOKEN.number, message.token];
    case "ping":
      return [CLIENT.PING.number, message.nonce];
  }
}

/** The bytes of CHUNK before its payload of `size` bytes. */
export function chunkHeader(
  ref: number,
  start: number,
  crc32c: number,
  size: number,
): Uint8Array<ArrayBuffer> {
  const head = encoder.encode([CLIENT.CHUNK.number, ref, start, crc32c]);
  const header = new Uint8Array(head.length + 5);
  header.set(head);
  header[0] = 0x95; // an array of five: the payload follows
  header[head.length] = 0xc6; // bin, with a length of 32 bits
  new DataView(header.buffer).setUint32(head.length + 1, size);
  return header;
}

// -- decode

/** Decode a message. Throws UploadError `invalid-message` for any other bytes. */
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
    case SERVER.WELCOME.number: {
      const map = asMap(first);
      return {
        type: "welcome",
        window: asInteger(map["window"]),
        maxChunkSize: asInteger(map["max_chunk_size"]),
        heartbeat: asInteger(map["heartbeat"]),
      };
    }
    case SERVER.OPENED.number:
      return { type: "opened", ref: asRef(first), upload: openedUpload(asMap(second)) };
    case SERVER.STORED.number:
      return {
        type: "stored",
        ref: asRef(first),
        pieces: asRanges(second),
        uploadSize: asInteger(third),
      };
    case SERVER.REFUSED.number:
      return {
        type: "refused",
        ref: asRef(first),
        start: asInteger(second),
        problem: asProblem(third),
      };
    case SERVER.WINDOW.number:
      return { type: "window", bytes: asInteger(first) };
    case SERVER.COMPLETE.number:
      return { type: "complete", ref: asRef(first), file: completeFile(asMap(second)) };
    case SERVER.CLOSED.number:
      return { type: "closed", ref: asRef(first) };
    case SERVER.PROBLEM.number:
      return {
        type: "problem",
        ref: first === null ? null : asRef(first),
        problem: asProblem(second),
      };
    case SERVER.GOAWAY.number: {
      const map = asMap(first);
      return {
        type: "goaway",
        reason: asText(map["reason"]),
        retryAfter: asInteger(map["retry_after"]),
      };
    }
    case SERVER.PONG.number:
      if (typeof first === "string" || first instanceof Uint8Array) return { type: "pong" };
      asInteger(first);
      return { type: "pong" };
    case SERVER.VERIFYING.number:
      return {
        type: "verifying",
        ref: asRef(first),
        done: asInteger(second),
        total: asInteger(third),
      };
    default:
      return invalid("a known number");
  }
}

/** The fields of OPENED, which the HTTP API uses for an upload as well. */
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

/** The fields of COMPLETE, which the manifest of a finished upload has as well. */
export function completeFile(map: Readonly<Record<string, unknown>>): CompleteFile {
  return {
    id: asText(map["id"]),
    size: asInteger(map["size"]),
    mime_type: asText(map["mime_type"]),
    sha256: map["sha256"] == null ? null : asText(map["sha256"]),
    crc32c: map["crc32c"] === null ? null : asInteger(map["crc32c"]),
    url: asText(map["url"]),
  };
}

/** Checks that a value is a list of pairs of integers. */
export function asRanges(value: unknown): Range[] {
  if (!Array.isArray(value)) invalid("ranges");
  return (value as unknown[]).map((pair) => {
    if (!Array.isArray(pair) || pair.length < 2) invalid("a range");
    const [start, end] = pair as unknown[];
    return [asInteger(start), asInteger(end)] as const;
  });
}

/** Checks that a value is a map. */
export function asMap(value: unknown): Readonly<Record<string, unknown>> {
  const prototype = typeof value === "object" && value && (Object.getPrototypeOf(value) as unknown);
  if (prototype !== Object.prototype) invalid("a map");
  return value as Record<string, unknown>;
}

/** Checks that a value is a problem. */
export function asProblem(value: unknown): Problem {
  const map = asMap(value);
  return { ...map, code: asText(map["code"]) };
}

function asRef(value: unknown): number {
  const ref = asInteger(value);
  if (ref > TABLES.limits.max_ref) invalid("a ref");
  return ref;
}

/** Checks that a value is an integer from 0 on. */
export function asInteger(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) invalid("an integer");
  return value as number;
}

/** Checks that a value is text. */
export function asText(value: unknown): string {
  if (typeof value !== "string") invalid("text");
  return value as string;
}

function invalid(wanted: string): never {
  throw new UploadError("invalid-message", { detail: `The server sent something other than ${wanted}.` });
}
