/** Digests of whole blobs, read slice by slice, so that memory does not grow with the file. */

import { createCRC32, createSHA256 } from "hash-wasm";

/** Bytes of a slice: a few milliseconds of the main thread. */
const SLICE = 1024 * 1024;

interface Hasher {
  update(data: Uint8Array): unknown;
  digest(): string;
}

/** The SHA-256 of a blob as 64 hexadecimal digits. Rejects with the blob's own error. */
export async function sha256Of(blob: Blob, signal?: AbortSignal): Promise<string> {
  // For few bytes the browser's own digest is faster. Pages without TLS do not have it.
  if (blob.size <= SLICE && globalThis.crypto.subtle !== undefined) {
    return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())));
  }
  return whole(blob, (await createSHA256()).init(), signal);
}

/** The SHA-256 of a few bytes. */
export async function sha256Here(data: Uint8Array<ArrayBuffer>): Promise<string> {
  if (globalThis.crypto.subtle !== undefined) return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
  return (await createSHA256()).init().update(data).digest();
}

/** The SHA-1 of a blob as hexadecimal digits; undefined on pages without TLS, which cannot compute it. */
export async function sha1Of(blob: Blob): Promise<string | undefined> {
  if (globalThis.crypto.subtle === undefined) return undefined;
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-1", await blob.arrayBuffer())));
}

/** Hexadecimal digits in Base64. */
export function base64(digits: string): string {
  const bytes = digits.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  return btoa(String.fromCharCode(...bytes));
}

/** The CRC-32C of a blob. Rejects with the blob's own error. */
export async function crc32cOf(blob: Blob, signal?: AbortSignal): Promise<number> {
  return Number.parseInt(await whole(blob, (await createCRC32(0x82f63b78)).init(), signal), 16);
}

export function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function whole(blob: Blob, hasher: Hasher, signal?: AbortSignal): Promise<string> {
  for (let at = 0; at < blob.size; at += SLICE) {
    signal?.throwIfAborted();
    hasher.update(new Uint8Array(await blob.slice(at, at + SLICE).arrayBuffer()));
  }
  return hasher.digest();
}
