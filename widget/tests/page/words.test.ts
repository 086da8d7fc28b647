import { expect, test } from "vitest";

import { ago } from "../../page/src/words.js";

const NOW = Date.parse("2026-11-29T12:00:00Z");

test.each([
  ["2026-11-29T11:59:30Z", "just now"],
  ["2026-11-29T11:59:00Z", "1 minute ago"],
  ["2026-11-29T09:59:00Z", "2 hours ago"],
  ["2026-11-20T12:00:00Z", "9 days ago"],
  // The clock of the device is an hour behind the server's.
  ["2026-11-29T13:00:00Z", "just now"],
])("%s was %s", (time, text) => {
  expect(ago(time, NOW)).toBe(text);
});
