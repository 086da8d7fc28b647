import { describe, expect, test, vi } from "vitest";

import { crc32cByTables } from "../../src/source/crc32c.js";
import { Reading, ROOM } from "../../src/source/reading.js";
import { someBytes } from "../support/helpers.js";

const BYTES = someBytes(100_000);

/** A blob whose slices are counted by how they are read. */
function counted(streams = true): { blob: Blob; reads: string[] } {
  const blob = new Blob([BYTES]);
  const reads: string[] = [];
  const { slice } = blob;
  Object.assign(blob, {
    slice: (start: number, end: number) => {
      const part = slice.call(blob, start, end);
      const { stream, arrayBuffer } = part;
      return Object.assign(part, {
        stream: () => {
          if (streams) reads.push(`stream ${start}`);
          return streams ? stream.call(part) : new ReadableStream(); // of no bytes, which has no such reader
        },
        arrayBuffer: () => {
          reads.push(`slice ${start}`);
          return arrayBuffer.call(part);
        },
      });
    },
  });
  return { blob, reads };
}

function readingOf(blob: Blob): (start: number, end: number) => Promise<void> {
  const reading = new Reading(blob, () => Promise.resolve(crc32cByTables));
  return async (start, end) => {
    const { buffer, crc32c } = await reading.piece(start, end, new ArrayBuffer(ROOM + end - start + 7));
    const expected = BYTES.subarray(start, end);
    expect(new Uint8Array(buffer, ROOM, end - start)).toEqual(expected);
    expect(crc32c).toBe(crc32cByTables(expected));
  };
}

describe("pieces", () => {
  test("that follow each other come from one stream", async () => {
    const { blob, reads } = counted();
    const piece = readingOf(blob);
    await Promise.all([piece(0, 30_000), piece(30_000, 90_000), piece(90_000, 100_000)]);
    expect(reads).toEqual(["stream 0"]);
  });

  test("elsewhere come from another", async () => {
    const { blob, reads } = counted();
    const piece = readingOf(blob);
    await Promise.all([piece(0, 10), piece(50_000, 60_000), piece(10, 20)]);
    expect(reads).toEqual(["stream 0", "stream 50000", "stream 10"]);
  });

  test("are slices where streams do not fill buffers", async () => {
    const { blob, reads } = counted(false);
    const piece = readingOf(blob);
    await Promise.all([piece(0, 10), piece(10, 100_000)]);
    expect(reads).toEqual(["slice 0", "slice 10"]);
  });

  test.each([[true], [false]])("of a blob that is too short are errors, and the next is read (streams: %s)", async (streams) => {
    const reading = new Reading(counted(streams).blob, () => Promise.resolve(crc32cByTables));
    const short = expect.objectContaining({ name: "NotReadableError" }) as Error;
    const beyond = reading.piece(99_990, 100_010, new ArrayBuffer(100));
    const next = reading.piece(0, 10, new ArrayBuffer(100));
    await expect(beyond).rejects.toEqual(short);
    expect(new Uint8Array((await next).buffer, ROOM, 10)).toEqual(BYTES.subarray(0, 10));
  });

  test("are not read any more when it is closed", async () => {
    const { blob, reads } = counted();
    const reading = new Reading(blob, () => Promise.resolve(crc32cByTables));
    const read = vi.fn();
    const piece = reading.piece(0, 10, new ArrayBuffer(100)).then(read);
    reading.close();
    await expect(piece).rejects.toThrow("closed");
    expect(reads).toEqual([]);
  });
});
