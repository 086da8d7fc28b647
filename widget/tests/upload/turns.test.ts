import { expect, test } from "vitest";

import { Turns } from "../../src/upload/turns.js";

test("a limited number runs at once, in order of arrival", () => {
  const begun: string[] = [];
  const turns = new Turns(2);
  const leave = ["a", "b", "c", "d"].map((name) => turns.take(() => begun.push(name)));
  expect(begun).toEqual(["a", "b"]);
  leave[1]!();
  expect(begun).toEqual(["a", "b", "c"]);
  leave[1]!();
  expect(begun).toEqual(["a", "b", "c"]);
});

test("an entry that left the queue is not called", () => {
  const begun: string[] = [];
  const turns = new Turns(1);
  const [a, b] = ["a", "b", "c"].map((name) => turns.take(() => begun.push(name)));
  b!();
  a!();
  expect(begun).toEqual(["a", "c"]);
});
