/**
 * One slice of a blob with its sum, the same on the main thread and in a worker.
 *
 * Owns the values that the two say to each other. Refuses to know either of them.
 */

import type { Crc32c } from "./crc32c.js";

/** A run of bytes and their CRC-32C. A blob's bytes stay where they are until they are sent. */
export interface Summed {
  readonly data: Uint8Array<ArrayBuffer> | Blob;
  readonly crc32c: number;
}

export interface Job {
  readonly id: number;
  readonly blob: Blob;
}

export type Answer =
  | { readonly id: number; readonly crc32c: number }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** Read a blob and sum its bytes, on this thread. Rejects with what reading it rejects with. */
export async function summed(
  blob: Blob,
  crc32c: Crc32c,
): Promise<{ data: Uint8Array<ArrayBuffer>; crc32c: number }> {
  const data = new Uint8Array(await blob.arrayBuffer());
  if (data.length !== blob.size) throw new DOMException("The file is shorter.", "NotReadableError");
  return { data, crc32c: crc32c(data) };
}
