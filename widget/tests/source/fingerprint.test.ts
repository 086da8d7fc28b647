import { afterEach, expect, test, vi } from "vitest";

import {
  fingerprintOf,
  randomFingerprint,
  sameButTime,
  timelessFingerprintOf,
} from "../../src/source/fingerprint.js";
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

/** Made by the command line for files whose SHA-256 it knows. */
const TIMELESS = [
  [0, "a", "file-2:0:6aa98e17c109dd8e2ae23a478ceb48e193c730289ba48d741388a3cc8b38ef4f"],
  [47, "film.mp4", "file-2:47:02cb44bc6ca9706033d159999245501c0cb616d4a7d2efb72decf8cfca2b0f83"],
  [4097, "b", "file-2:4097:5678c58884530d7fe19dd17297222488a1d78268c51e43d1db4294e7ba94f0fa"],
  [100_000, "grün 🎬.mp4", "file-2:100000:6a8431b387caa0172b697f7faefa67643188d46112e628c959ab36bd31690e2d"],
] as const;

test.each(TIMELESS)("without a time, of %i bytes it is that of the Python client", async (size, name, expected) => {
  expect(await timelessFingerprintOf(new File([someBytes(size)], name), name)).toBe(expected);
});
