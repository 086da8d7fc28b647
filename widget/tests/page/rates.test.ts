import { expect, test } from "vitest";

import type { Overview } from "../../page/src/admin-api.js";
import { rates } from "../../page/src/rates.js";

const look = (at: string, requests: number, received = 0): Overview =>
  ({ at: `2026-01-01T00:00:${at}Z`, requests, traffic: { received, sent: 0, stored: 0 } }) as Overview;

test("two looks give what happens in one second", () => {
  const found = rates(look("00.000", 5, 1000), look("02.000", 9, 5000));
  expect(found).toEqual({ received: 2000, sent: 0, stored: 0, requests: 2 });
});

test("a server that began again has no rate yet", () => {
  expect(rates(look("00.000", 50), look("02.000", 1))).toBeNull();
  expect(rates(look("00.000", 5), look("00.000", 5))).toBeNull();
});
