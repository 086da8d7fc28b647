import { expect, test } from "vitest";

import { Pace } from "../../page/src/rate.js";

const MB = 1_000_000;

/** Hear of so many bytes a second of a file, ten times a second; gives the time after it. */
function run(pace: Pace, file: string, from: number, rate: number, at: number, seconds: number): number {
  for (let tick = 1; tick <= seconds * 10; tick++) {
    pace.heard(file, from + (rate * tick) / 10, at + tick * 100);
  }
  return at + seconds * 1000;
}

test("the time until the first byte does not count, and there is nothing to say in the first second", () => {
  const pace = new Pace();
  pace.begin("a");
  pace.heard("a", 0, 5_000);
  expect(pace.seconds(1500 * MB, 5_500)).toBe(null);
  const now = run(pace, "a", 0, 80 * MB, 5_000, 2);
  expect(pace.seconds(1340 * MB, now)).toBeCloseTo(16.75);
});

test("what was stored before is no speed", () => {
  const pace = new Pace();
  pace.begin("a");
  pace.heard("a", 400 * MB, 0);
  const now = run(pace, "a", 400 * MB, 10 * MB, 0, 2);
  expect(pace.seconds(1000 * MB, now)).toBeCloseTo(100);
  // Nor when the same file is tried again.
  pace.begin("a");
  pace.heard("a", 900 * MB, now + 50);
  expect(pace.seconds(1000 * MB, now + 50)).toBeGreaterThan(100);
});

test("files that run side by side add up, and what was long ago is forgotten", () => {
  const pace = new Pace();
  let now = run(pace, "a", 0, 100 * MB, 0, 20);
  for (let tick = 1; tick <= 150; tick++) {
    now += 100;
    pace.heard("a", 2000 * MB + tick * MB, now);
    pace.heard("b", tick * MB, now);
  }
  expect(pace.seconds(200 * MB, now)).toBeCloseTo(10, 0);
});

test("a pause does not count", () => {
  const pace = new Pace();
  const paused = run(pace, "a", 0, 10 * MB, 0, 5);
  pace.paused();
  expect(pace.seconds(100 * MB, paused)).toBe(null);
  pace.heard("a", 50 * MB, paused + 60_000);
  const now = run(pace, "a", 50 * MB, 10 * MB, paused + 60_000, 3);
  expect(pace.seconds(100 * MB, now)).toBeCloseTo(10);
});

test("what stands still takes for ever, and says nothing", () => {
  const pace = new Pace();
  pace.heard("a", 5, 0);
  pace.heard("a", 5, 3_000);
  expect(pace.seconds(100, 3_000)).toBe(null);
});
