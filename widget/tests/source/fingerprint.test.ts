import { afterEach, expect, test, vi } from "vitest";

import { fingerprintOf, randomFingerprint, sameButTime } from "../../src/source/fingerprint.js";
import { someBytes } from "../support/helpers.js";

afterEach(() => vi.unstubAllGlobals());

/** Made by `lading.fingerprint.fingerprint`, so that a page finds what the command line began. */
const BY_PYTHON = [
  [
    47,
    "film.mp4",
    1_700_000_000_000,
    "file-1:47:1700000000000000000:cf60be27e4459fc8455cd2580903ffe6e13288e5d7623993199c46dff0ca7f3c",
  ],
  [
    5000,
    "grün 🎬.mp4",
    1_700_000_000_123,
    "file-1:5000:1700000000123000000:dcd895f1d145e807b90f47e3302b0740310ecd7664faeacfbb5a5ff38aa535cd",
  ],
] as const;

test.each(BY_PYTHON)(
  "of %i bytes it is that of the Python client",
  async (size, name, at, expected) => {
    const file = new File([someBytes(size)], name, { lastModified: at });
    expect(await fingerprintOf(file, name)).toBe(expected);
  },
);

test("on a page without TLS it is the same", async () => {
  const [size, name, lastModified, expected] = BY_PYTHON[0];
  vi.stubGlobal("crypto", { subtle: undefined });
  const file = new File([someBytes(size)], name, { lastModified });
  expect(await fingerprintOf(file, name)).toBe(expected);
});

test("for what cannot be known again it is never the same", () => {
  expect(randomFingerprint()).toMatch(/^once-1:[0-9a-f]{32}$/);
  expect(randomFingerprint()).not.toBe(randomFingerprint());
});

test("the time is a hint: fingerprints that differ in it alone are alike, others are not", async () => {
  const at = (lastModified: number, size = 47, name = "a"): Promise<string> =>
    fingerprintOf(new File([someBytes(size)], name, { lastModified }), name);
  const one = await at(1);
  expect(one).not.toBe(await at(2));
  expect(sameButTime(one, await at(2))).toBe(true);
  expect(sameButTime(one, await at(1, 48))).toBe(false);
  expect(sameButTime(one, await at(1, 47, "b"))).toBe(false);
  for (const other of [null, undefined, "", "file-1:47:1", `${one}:more`, randomFingerprint()]) {
    expect(sameButTime(one, other)).toBe(false);
  }
});
