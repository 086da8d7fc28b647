import { expect, test } from "vitest";

import type { Checksums } from "../../src/source/checksum.js";
import { type Piece, PieceReader } from "../../src/source/piece-reader.js";
import { settle } from "../support/helpers.js";

const MIB = 1024 * 1024;

/** Answers at once, with the buffer that it got. */
class Fake {
  readonly asked: number[] = [];
  broken = false;

  open(): object {
    return {};
  }

  piece(_: object, start: number, __: number, buffer: ArrayBuffer): Promise<object> {
    this.asked.push(start);
    return this.broken ? Promise.reject(new Error("gone")) : Promise.resolve({ buffer, crc32c: start });
  }
}

function readerOf(fake: Fake): { read(start: number, end: number, signal?: AbortSignal): Promise<Piece> } {
  const reader = new PieceReader(new Blob(), fake as unknown as Checksums);
  return { read: (start, end, signal = new AbortController().signal) => reader.read(start, end, signal) };
}

test("at most 8 MiB are read and not given back, in order", async () => {
  const fake = new Fake();
  const reader = readerOf(fake);
  const pieces = Array.from({ length: 12 }, (_, each) => reader.read(each * MIB, (each + 1) * MIB));
  await settle();
  expect(fake.asked).toHaveLength(8);
  (await pieces[1])?.done(true);
  pieces.push(reader.read(12 * MIB, 13 * MIB));
  await settle();
  expect(fake.asked).toHaveLength(9);
  for (const piece of pieces) (await piece).done(true);
  expect(fake.asked).toEqual(Array.from({ length: 13 }, (_, each) => each * MIB));
});

test("one piece may be larger", async () => {
  expect((await readerOf(new Fake()).read(0, 9 * MIB)).data).toHaveLength(9 * MIB);
});

test("a buffer that nobody uses serves again, if it is large enough", async () => {
  const reader = readerOf(new Fake());
  const first = await reader.read(0, 100);
  first.done(true);
  const second = await reader.read(100, 150);
  expect(second.data.buffer).toBe(first.data.buffer);
  expect(second.data).toHaveLength(50);
  second.done(true);
  const third = await reader.read(150, 300);
  expect(third.data.buffer).not.toBe(first.data.buffer);
  third.done(false);
  expect((await reader.read(300, 310)).data.buffer).not.toBe(third.data.buffer);
});

test("what cannot be read takes no room", async () => {
  const fake = new Fake();
  const reader = readerOf(fake);
  fake.broken = true;
  const failed = Array.from({ length: 9 }, (_, each) => reader.read(each * MIB, (each + 1) * MIB));
  for (const each of failed) await expect(each).rejects.toThrow("gone");
  fake.broken = false;
  expect((await reader.read(0, 8 * MIB)).crc32c).toBe(0);
});

test("what nobody waits for any more is not read, and does not hold up what comes next", async () => {
  const fake = new Fake();
  const reader = readerOf(fake);
  const over = new AbortController();
  const first = await reader.read(0, 8 * MIB, over.signal);
  const stale = [reader.read(1, 2 * MIB, over.signal), reader.read(2, 3 * MIB, over.signal)];
  const next = reader.read(3, 4 * MIB);
  over.abort(new Error("lost"));
  first.done(true);
  for (const each of stale) await expect(each).rejects.toThrow("lost");
  await next;
  expect(fake.asked).toEqual([0, 3]);
});
