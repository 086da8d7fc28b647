/** CRC-32C (Castagnoli), by WebAssembly, or by tables where the page's policy forbids WebAssembly. */

import { createCRC32 } from "hash-wasm";

const POLYNOMIAL = 0x82f63b78;

/** Returns the CRC-32C of the bytes as an unsigned integer. */
export type Crc32c = (data: Uint8Array) => number;

/** The fastest implementation that runs here. Never rejects. */
export async function loadCrc32c(): Promise<Crc32c> {
  try {
    const hasher = await createCRC32(POLYNOMIAL);
    return (data) => {
      const digest = hasher.init().update(data).digest("binary");
      return new DataView(digest.buffer, digest.byteOffset).getUint32(0);
    };
  } catch {
    return crc32cByTables;
  }
}

let tables: readonly Int32Array[] | undefined;

/** Table k holds the sums of each byte value followed by k zero bytes. */
function makeTables(): readonly Int32Array[] {
  const made = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let value = 0; value < 256; value++) {
    let sum = value;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    made[0]![value] = sum;
  }
  for (let k = 1; k < 8; k++) {
    for (let value = 0; value < 256; value++) {
      const before = made[k - 1]![value]!;
      made[k]![value] = (before >>> 8) ^ made[0]![before & 255]!;
    }
  }
  return made;
}

/** Eight bytes at a time ("slicing by eight"). */
export function crc32cByTables(data: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = (tables ??= makeTables()) as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const whole = data.length - (data.length % 8);
  let sum = -1;
  for (let at = 0; at < whole; at += 8) {
    const low = sum ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    sum =
      t7[low & 255]! ^
      t6[(low >>> 8) & 255]! ^
      t5[(low >>> 16) & 255]! ^
      t4[low >>> 24]! ^
      t3[high & 255]! ^
      t2[(high >>> 8) & 255]! ^
      t1[(high >>> 16) & 255]! ^
      t0[high >>> 24]!;
  }
  for (let at = whole; at < data.length; at++) sum = (sum >>> 8) ^ t0[(sum ^ data[at]!) & 255]!;
  return ~sum >>> 0;
}
