import { expect, test } from "vitest";

import { Rate } from "../../page/src/rate.js";

const MB = 1_000_000;

/** Report `speed` bytes a second of a file, ten times a second. Returns the time afterwards. */
function run(estimate: Rate, file: string, from: number, speed: number, at: number, seconds: number): number {
  for (let tick = 1; tick <= seconds * 10; tick++) {
    estimate.stored(file, from + (speed * tick) / 10, at + tick * 100);
  }
  return at + seconds * 1000;
}

test("the time until the first byte does not count, and the first second has no estimate", () => {
  const estimate = new Rate();
  estimate.begin("a");
  estimate.stored("a", 0, 5_000);
  expect(estimate.seconds(1500 * MB, 5_500)).toBe(null);
  const now = run(estimate, "a", 0, 80 * MB, 5_000, 2);
  expect(estimate.seconds(1340 * MB, now)).toBeCloseTo(16.75);
});

test("bytes stored before do not count", () => {
  const estimate = new Rate();
  estimate.begin("a");
  estimate.stored("a", 400 * MB, 0);
  const now = run(estimate, "a", 400 * MB, 10 * MB, 0, 2);
  expect(estimate.seconds(1000 * MB, now)).toBeCloseTo(100);
  // Nor when the same file is tried again.
  estimate.begin("a");
  estimate.stored("a", 900 * MB, now + 50);
  expect(estimate.seconds(1000 * MB, now + 50)).toBeGreaterThan(100);
});

test("parallel files add up, and only recent bytes count", () => {
  const estimate = new Rate();
  let now = run(estimate, "a", 0, 100 * MB, 0, 20);
  for (let tick = 1; tick <= 150; tick++) {
    now += 100;
    estimate.stored("a", 2000 * MB + tick * MB, now);
    estimate.stored("b", tick * MB, now);
  }
  expect(estimate.seconds(200 * MB, now)).toBeCloseTo(10, 0);
});

test("a pause does not count", () => {
  const estimate = new Rate();
  const paused = run(estimate, "a", 0, 10 * MB, 0, 5);
  estimate.paused();
  expect(estimate.seconds(100 * MB, paused)).toBe(null);
  estimate.stored("a", 50 * MB, paused + 60_000);
  const now = run(estimate, "a", 50 * MB, 10 * MB, paused + 60_000, 3);
  expect(estimate.seconds(100 * MB, now)).toBeCloseTo(10);
});

test("what stands still takes for ever, and says nothing", () => {
  const estimate = new Rate();
  estimate.stored("a", 5, 0);
  estimate.stored("a", 5, 3_000);
  expect(estimate.seconds(100, 3_000)).toBe(null);
});
