/**
 * A short text by which a file is known again after a reload, and on another device.
 *
 * Owns what makes two files the same upload: name, size, time of the last change, and the first and
 * last kilobyte; the same text that the Python client makes, where the file's time has no fraction
 * of a millisecond. Refuses to read the whole file.
 */

import { createSHA256 } from "hash-wasm";

const SAMPLE = 1024;

/** The fingerprint of a file. Rejects with what reading it rejects with. */
export async function fingerprintOf(file: File, name: string): Promise<string> {
  const parts = [
    new TextEncoder().encode(name),
    new Uint8Array(await file.slice(0, SAMPLE).arrayBuffer()),
    new Uint8Array(await file.slice(Math.max(0, file.size - SAMPLE)).arrayBuffer()),
  ];
  const framed = new Uint8Array(parts.reduce((sum, part) => sum + 8 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    new DataView(framed.buffer).setUint32(at + 4, part.length);
    framed.set(part, at + 8);
    at += 8 + part.length;
  }
  const nanoseconds = BigInt(Math.trunc(file.lastModified)) * 1_000_000n;
  return `file-1:${file.size}:${nanoseconds}:${await sha256(framed)}`;
}

/** For bytes that cannot be known again, such as a recording's: finds this very upload only. */
export function randomFingerprint(): string {
  return `once-1:${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  // Pages without TLS have no `subtle`.
  if (globalThis.crypto.subtle !== undefined) {
    return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
  }
  return (await createSHA256()).init().update(data).digest("hex");
}

function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
