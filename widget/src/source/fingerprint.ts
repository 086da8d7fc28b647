/**
 * A short text by which the same file is recognised after a reload, and on another device.
 *
 * It is made of the name, the size, the time of the last change, and the first and last kilobyte. The
 * Python client makes the same text, unless the file's time has a fraction of a millisecond.
 */

import { hex, sha256Of } from "./digest.js";

const SAMPLE = 1024;

/** The fingerprint of a file. Rejects with the file's own error when it cannot be read. */
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
  return `file-1:${file.size}:${nanoseconds}:${await sha256Of(new Blob([framed]))}`;
}

/** For bytes that cannot be recognised, such as a recording: only this upload has it. */
export function randomFingerprint(): string {
  return `once-1:${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
}

/**
 * Whether two fingerprints differ in the time at most: the time is a hint, since phones and cloud
 * drives report another one each time a file is chosen. The content must be compared in the end.
 */
export function sameButTime(one: string, other: unknown): boolean {
  return typeof other === "string" && withoutTime(one) === withoutTime(other);
}

function withoutTime(fingerprint: string): string {
  const [kind, size, time, digest, ...rest] = fingerprint.split(":");
  const known = kind === "file-1" && time !== undefined && digest !== undefined && rest.length === 0;
  return known ? `${kind}:${size}:${digest}` : fingerprint;
}
