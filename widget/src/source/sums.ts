/** The sums of blobs, and the messages between the main thread and the worker. */

import type { Crc32c } from "./crc32c.js";
import type { Filled } from "./reading.js";

/** Bytes and their CRC-32C. A blob is read only when it is sent. */
export interface Summed {
  readonly data: Uint8Array<ArrayBuffer> | Blob;
  readonly crc32c: number;
}

/** Pieces of a blob will be asked for under this number. */
export interface Open {
  readonly open: number;
  readonly blob: Blob;
}

/** No more of them will be. */
export interface Close {
  readonly close: number;
}

/** Read a piece into a buffer. */
export interface PieceJob {
  readonly id: number;
  readonly piece: number;
  readonly start: number;
  readonly end: number;
  readonly buffer: ArrayBuffer;
}

/** Read a blob of at most one piece for its CRC-32C, or any blob for the SHA-256 of its whole. */
export interface SumJob {
  readonly id: number;
  readonly blob: Blob;
  readonly sum: "crc32c" | "sha256";
}

export type Job = PieceJob | SumJob;

/** The answer to a job is not wanted any more. */
export interface Stop {
  readonly stop: number;
}

export type Answer =
  | ({ readonly id: number } & Filled)
  | { readonly id: number; readonly crc32c: number }
  | { readonly id: number; readonly sha256: string }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** Read a blob and compute its sum on this thread. Rejects with the blob's own error. */
export async function summed(
  blob: Blob,
  crc32c: Crc32c,
): Promise<{ data: Uint8Array<ArrayBuffer>; crc32c: number }> {
  const data = new Uint8Array(await blob.arrayBuffer());
  if (data.length !== blob.size) throw new DOMException("The file is shorter.", "NotReadableError");
  return { data, crc32c: crc32c(data) };
}
