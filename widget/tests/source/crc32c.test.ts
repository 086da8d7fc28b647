import { afterEach, describe, expect, test, vi } from "vitest";

import { crc32cByTables, loadCrc32c } from "../../src/source/crc32c.js";
import { fromHex, sums } from "../support/vectors.js";

afterEach(() => vi.unstubAllGlobals());

describe.each([
  ["by WebAssembly", loadCrc32c],
  ["by tables", () => Promise.resolve(crc32cByTables)],
])("%s", (_, load) => {
  test.each(sums)("of $data.hex", async ({ data, crc32c }) => {
    expect((await load())(fromHex(data.hex))).toBe(crc32c);
  });

  test("of a part of a buffer, at any place", async () => {
    const crc32c = await load();
    for (let at = 0; at < 9; at++) {
      const buffer = new Uint8Array(at + 9 + 3).fill(7);
      buffer.set(new TextEncoder().encode("123456789"), at);
      expect(crc32c(buffer.subarray(at, at + 9))).toBe(0xe3069283);
    }
  });
});

test("of a large buffer both ways agree", async () => {
  const data = new Uint8Array(1_000_003).map((_, at) => (at * 31) >> 3);
  expect(crc32cByTables(data)).toBe((await loadCrc32c())(data));
});

test("where WebAssembly is refused, tables take its place", async () => {
  const refuse = (): never => {
    throw new EvalError("Refused to compile WebAssembly");
  };
  vi.resetModules();
  vi.stubGlobal("WebAssembly", { ...WebAssembly, compile: refuse, instantiate: refuse });
  const fresh = await import("../../src/source/crc32c.js");
  const crc32c = await fresh.loadCrc32c();
  expect(crc32c).toBe(fresh.crc32cByTables);
});
