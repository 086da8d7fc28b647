import { decode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";

import {
  chunkHeader,
  type ClientMessage,
  decodeServer,
  encode,
  type UploadRequest,
} from "../../src/protocol/messages.js";
import { fromHex, messages, type MessageVector, plain } from "../support/vectors.js";

/** The message that a vector's items mean. */
function messageOf({ name, items }: MessageVector): ClientMessage {
  const [, first, second] = plain(items) as [number, never, never];
  const rest = second as Record<string, never>;
  switch (name) {
    case "HELLO":
      return { type: "hello", ...(first as object) };
    case "CREATE":
      return { type: "create", ref: first, request: second as UploadRequest };
    case "RESUME":
      return { type: "resume", ref: first, id: second };
    case "FINISH":
      return { type: "finish", ref: first, ...rest };
    case "ABORT":
      return { type: "abort", ref: first };
    case "DETACH":
      return { type: "detach", ref: first };
    case "TOKEN":
      return { type: "token", token: first };
    default:
      return { type: "ping", nonce: first };
  }
}

describe("what is sent", () => {
  const others = messages.client.filter(({ name }) => name !== "CHUNK");

  test.each(others)("$name $hex", (vector) => {
    expect(decode(encode(messageOf(vector)))).toEqual(plain(vector.items));
  });

  const chunks = messages.client.filter(({ name }) => name === "CHUNK");

  test.each(chunks)("$name $hex", ({ items, hex }) => {
    const [, ref, start, crc32c, data] = plain(items) as [
      number,
      number,
      number,
      number,
      Uint8Array,
    ];
    const message = Buffer.concat([chunkHeader(ref, start, crc32c, data.length), data]);
    expect(message.toString("hex")).toBe(hex);
  });
});

describe("what is received", () => {
  test.each(messages.server)("$name $hex", ({ name, hex, items }) => {
    const message = decodeServer(fromHex(hex));
    expect(message.type).toBe(name.toLowerCase());
    const said = JSON.stringify(message);
    for (const fact of facts(items)) expect(said).toContain(JSON.stringify(fact));
  });

  test.each(messages.invalid.server)("$why is refused", ({ hex, code }) => {
    expect(() => decodeServer(fromHex(hex))).toThrow(expect.objectContaining({ code }) as Error);
  });
});

/** The numbers and texts in a vector that a client goes by. */
function facts(items: readonly unknown[]): unknown[] {
  const [number, first, second] = items as [number, never, Record<string, never>];
  switch (number) {
    case 65:
      return [first["window"], first["max_chunk_size"], first["heartbeat"]];
    case 66:
      return ["id", "name", "size", "chunk_size", "upload_size", "missing", "state"].map(
        (key) => second[key],
      );
    case 70:
      return Object.values(second);
    case 73:
      return [first["reason"], first["retry_after"]];
    case 74:
      return [];
    default:
      return items.slice(1);
  }
}
