/**
 * One slice of a blob with its sum, the same on the main thread and in a worker.
 *
 * Owns the values that the two say to each other. Refuses to know either of them.
 */

import type { Crc32c } from "./crc32c.js";

/** Bytes with `room` free bytes before them, and their CRC-32C. */
export interface Piece {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly crc32c: number;
}

export interface Job {
  readonly id: number;
  readonly blob: Blob;
  readonly room: number;
}

export type Answer =
  | { readonly id: number; readonly piece: Piece }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** Read a blob and sum its bytes, on this thread. Rejects with what reading it rejects with. */
export async function sealed(blob: Blob, room: number, crc32c: Crc32c): Promise<Piece> {
  const data = new Uint8Array(await blob.arrayBuffer());
  const sum = crc32c(data);
  if (room === 0) return { buffer: data, crc32c: sum };
  const buffer = new Uint8Array(room + data.length);
  buffer.set(data, room);
  return { buffer, crc32c: sum };
}
