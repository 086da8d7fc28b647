import { describe, expect, test } from "vitest";

import { UploadError } from "../../src/protocol/errors.js";
import { explainClose, Retry } from "../../src/protocol/retry.js";

describe("what a close means", () => {
  const restarting = new UploadError("shutting-down", { retry_after: 3 });

  test.each([
    ["the network broke", 1006, undefined, { after: 0, limit: undefined, renew: false }],
    ["the server went away", 1001, undefined, { after: 0, limit: undefined, renew: false }],
    ["the server failed", 1011, undefined, { after: 0, limit: undefined, renew: false }],
    ["the server restarts", 1012, restarting, { after: 3, limit: undefined, renew: false }],
    [
      "too many",
      4429,
      new UploadError("rate-limited"),
      { after: 0, limit: undefined, renew: false },
    ],
    ["a damaged message", 1002, new UploadError("invalid-message"), { limit: 5, renew: false }],
    ["a late HELLO", 1008, new UploadError("unauthorized"), { limit: 5, renew: false }],
    ["the credential expired", 4401, new UploadError("unauthorized"), { limit: 5, renew: true }],
  ])("%s (%i): try again", (_, code, parting, expected) => {
    const retry = explainClose(code, parting);
    expect(retry).toBeInstanceOf(Retry);
    expect(retry).toMatchObject(expected);
  });

  test("a credential that does not allow it: give up", () => {
    expect(() => explainClose(4403, undefined)).toThrow(
      expect.objectContaining({ code: "forbidden" }) as Error,
    );
  });
});
