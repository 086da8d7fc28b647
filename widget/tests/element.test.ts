import { expect, test } from "vitest";

import { LadingUpload, sentence } from "../src/element.js";

const TOTALS = { files: 3, done: 2, skipped: 0, failed: 0, size: 9, stored: 6, sent: 0 };

test("it can be imported where pages are rendered on a server", () => {
  expect([typeof LadingUpload, globalThis.customElements]).toEqual(["function", undefined]);
});

test("where it stands is one sentence", () => {
  expect(sentence({ ...TOTALS, files: 0 }, false)).toBe("");
  expect(sentence(TOTALS, false)).toBe("2 of 3 files stored");
  expect(sentence({ ...TOTALS, skipped: 2 }, false)).toBe("2 of 3 files stored, already there");
  expect(sentence({ ...TOTALS, skipped: 1, failed: 1 }, true)).toBe("Paused: 2 of 3 files stored, 1 already there, 1 failed");
  expect(sentence({ ...TOTALS, files: 1, done: 1 }, false)).toBe("1 of 1 file stored");
});
