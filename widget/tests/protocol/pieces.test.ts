import { describe, expect, test } from "vitest";

import { Pieces, type Range } from "../../src/protocol/pieces.js";
import { pieces as vectors } from "../support/vectors.js";

function all(pieces: Pieces): Range[] {
  const found: Range[] = [];
  for (;;) {
    const piece = pieces.take(Number.MAX_SAFE_INTEGER);
    if (piece === null) return found;
    found.push(piece);
  }
}

function ofSize(size: number | null, missing: readonly Range[], stored = 0): Pieces {
  return new Pieces({ chunk_size: 10, size, upload_size: stored, missing });
}

test.each(vectors)(
  "of $size bytes in cells of $chunk_size, missing $missing, offered $offered, end $end",
  (vector) => {
    const pieces = new Pieces(vector);
    pieces.offer(vector.offered);
    if (vector.end !== null) pieces.end(vector.end);
    expect(all(pieces)).toEqual(vector.pieces);
  },
);

describe("a piece in flight", () => {
  test("uses credit until it is answered", () => {
    const pieces = ofSize(25, [[0, 25]]);
    expect(pieces.take(9)).toBeNull();
    expect(pieces.take(10)).toEqual([0, 10]);
    expect(pieces.inFlight).toBe(10);
    expect(pieces.arrived(0)).toBe(10);
    expect([pieces.inFlight, pieces.stored]).toEqual([0, 10]);
  });

  test("counts once, however often it is answered", () => {
    const pieces = ofSize(10, [[0, 10]]);
    pieces.take(10);
    expect([pieces.arrived(0), pieces.arrived(0), pieces.arrived(7)]).toEqual([10, 0, 0]);
    expect([pieces.stored, pieces.settled]).toEqual([10, true]);
  });

  test("is sent again first after a refusal", () => {
    const pieces = ofSize(25, [[0, 25]]);
    pieces.take(10);
    pieces.again(0, pieces.answered(0));
    expect(pieces.stored).toBe(0);
    expect(all(pieces)).toEqual([
      [0, 10],
      [10, 20],
      [20, 25],
    ]);
  });

  test("is not sent again when the server reports it missing", () => {
    const pieces = ofSize(40, [[10, 40]], 10);
    expect([pieces.take(10), pieces.take(10)]).toEqual([
      [10, 20],
      [20, 30],
    ]);
    pieces.arrived(10);
    pieces.restart([
      [0, 10],
      [20, 40],
    ]);
    expect(pieces.stored).toBe(10);
    expect(all(pieces)).toEqual([
      [0, 10],
      [30, 40],
    ]);
  });
});
