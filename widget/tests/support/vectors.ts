/** The test vectors that all clients share, and bytes as JSON writes them. */

import crc32cFile from "../../../tests/vectors/crc32c.json" with { type: "json" };
import messagesFile from "../../../tests/vectors/messages.json" with { type: "json" };
import piecesFile from "../../../tests/vectors/pieces.json" with { type: "json" };

import type { Range } from "../../src/protocol/pieces.js";

export interface MessageVector {
  readonly name: string;
  readonly items: readonly unknown[];
  readonly hex: string;
}

export const messages = messagesFile as unknown as {
  readonly client: readonly MessageVector[];
  readonly server: readonly MessageVector[];
  readonly invalid: { readonly server: ReadonlyArray<{ why: string; hex: string; code: string }> };
};

export const sums = crc32cFile.crc32c;

export const pieces = piecesFile as unknown as ReadonlyArray<{
  readonly chunk_size: number;
  readonly size: number | null;
  readonly missing: readonly Range[];
  readonly upload_size: number;
  readonly offered: number;
  readonly end: number | null;
  readonly pieces: readonly Range[];
}>;

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

/** The value of a vector, with bytes as bytes. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("hex" in value) return fromHex(value.hex as string);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
