import { expect, test } from "vitest";

import { prettierBytes } from "../../page/src/bytes.js";

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [999, "999 bytes"],
  [1_000, "1.0 kB"],
  [999_949, "999.9 kB"],
  [999_950, "1.0 MB"],
  [1_500_000_000, "1.5 GB"],
  [2 ** 40, "1.1 TB"],
  [12e15, "12.0 PB"],
  [12e18, "12000.0 PB"],
])("%i bytes are %s", (bytes, text) => {
  expect(prettierBytes(bytes)).toBe(text);
});
