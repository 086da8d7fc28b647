import { describe, expect, test } from "vitest";

import { fromProblem, hasCode, UploadError } from "../../src/protocol/errors.js";
import { TABLES } from "../../src/protocol/tables.js";

test.each(Object.entries(TABLES.errors))("%s is retryable as the server says", (code, { retryable }) => {
  expect(new UploadError(code)).toMatchObject({ code, retryable });
});

describe("the sentence", () => {
  test("of a code without one of its own is the server's detail, or its title", () => {
    const detail = "chunk_size must be at least 1.";
    expect(fromProblem({ code: "invalid-argument", detail }).message).toBe(detail);
    const { title } = TABLES.errors["name-taken"];
    expect(new UploadError("name-taken").message).toBe(title);
  });

  test("of a code that nobody knows says what to do", () => {
    expect(new UploadError("new-code").message).toBe("The upload failed. Try again.");
  });
});

test("a code is that of an UploadError", () => {
  expect(hasCode(new UploadError("gone"), "gone")).toBe(true);
  expect(hasCode({ code: "gone" }, "gone")).toBe(false);
});
