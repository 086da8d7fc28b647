/**
 * A short text by which the same file is recognised after a reload, and on another device.
 *
 * It is made of the name, the size, the time of the last change, and the first and last kilobyte. The
 * command line makes the same text for an upload without a SHA-256, unless the file's time has a fraction
 * of a millisecond, and the text without a time for one with a SHA-256.
 */

import { hex, sha256Of } from "./digest.js";

const DATED_SAMPLE = 1024;
const SAMPLE = 4096;
const SAMPLES = 16;

/** The fingerprint of a file. Rejects with the file's own error when it cannot be read. */
export async function fingerprintOf(file: File, name: string): Promise<string> {
  const ends = [file.slice(0, DATED_SAMPLE), file.slice(Math.max(0, file.size - DATED_SAMPLE))];
  const nanoseconds = BigInt(Math.trunc(file.lastModified)) * 1_000_000n;
  return `file-1:${file.size}:${nanoseconds}:${await digestOf(name, ends)}`;
}

/** The fingerprint without a time: more samples, evenly spread. */
export async function timelessFingerprintOf(file: File, name: string): Promise<string> {
  const last = file.size - SAMPLE;
  const count = last <= 0 ? 1 : Math.min(SAMPLES, Math.ceil(file.size / SAMPLE));
  const samples = Array.from({ length: count }, (_, each) => {
    const start = last <= 0 ? 0 : Math.floor((last * each) / (count - 1));
    return file.slice(start, start + SAMPLE);
  });
  return `file-2:${file.size}:${await digestOf(name, samples)}`;
}

/** The SHA-256 of the name and the parts, each after its length in 8 bytes. */
async function digestOf(name: string, parts: readonly Blob[]): Promise<string> {
  const framed = [new Blob([name]), ...parts].flatMap((part) => {
    const length = new DataView(new ArrayBuffer(8));
    length.setUint32(4, part.size);
    return [length, part];
  });
  return sha256Of(new Blob(framed));
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
