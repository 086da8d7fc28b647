import { expect, test } from "vitest";

import { Rate } from "../../page/src/rate.js";

const MB = 1_000_000;

/** Report `speed` bytes a second, ten times a second. Returns the time afterwards. */
function run(rate: Rate, from: number, speed: number, at: number, seconds: number): number {
  for (let tick = 0; tick <= seconds * 10; tick++) rate.sent(from + (speed * tick) / 10, at + tick * 100);
  return at + seconds * 1000;
}

test("the first second has no estimate", () => {
  const rate = new Rate();
  rate.sent(0, 5_000);
  expect([rate.seconds(1500 * MB, 5_500), rate.perSecond(5_500)]).toEqual([null, null]);
  const now = run(rate, 0, 80 * MB, 5_000, 2);
  expect(rate.perSecond(now)).toBeCloseTo(80 * MB);
  expect(rate.seconds(1340 * MB, now)).toBeCloseTo(16.75);
});

test("only recent bytes count", () => {
  const rate = new Rate();
  const now = run(rate, 0, 100 * MB, 0, 20);
  const later = run(rate, 2000 * MB, 20 * MB, now, 15);
  expect(rate.seconds(200 * MB, later)).toBeCloseTo(10, 0);
});

test("a pause does not count", () => {
  const rate = new Rate();
  const paused = run(rate, 0, 10 * MB, 0, 5);
  rate.paused();
  expect(rate.seconds(100 * MB, paused)).toBe(null);
  const now = run(rate, 50 * MB, 10 * MB, paused + 60_000, 3);
  expect(rate.seconds(100 * MB, now)).toBeCloseTo(10);
});

test("what stands still takes for ever, and says nothing", () => {
  const rate = new Rate();
  rate.sent(5, 0);
  rate.sent(5, 3_000);
  expect([rate.perSecond(3_000), rate.seconds(5, 3_000)]).toEqual([null, null]);
});
