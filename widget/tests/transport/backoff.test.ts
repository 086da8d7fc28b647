import { describe, expect, test } from "vitest";

import { Backoff, realTiming } from "../../src/transport/backoff.js";

function delays(backoff: Backoff, count: number, after = 0): Array<number | null> {
  return Array.from({ length: count }, () => backoff.delay(after));
}

describe("the delays", () => {
  test("double, up to 15 s", () => {
    const most = new Backoff(1e9, () => 1);
    expect(delays(most, 9)).toEqual([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15]);
    expect(delays(most, 2000).at(-1)).toBe(15);
  });

  test("are spread over the whole interval", () => {
    const draws = [0, 0.25, 0.5];
    expect(delays(new Backoff(1e9, () => draws.shift()!), 3)).toEqual([0, 0.1, 0.4]);
  });

  test("are added to the wait that the server asked for", () => {
    expect(delays(new Backoff(1e9, () => 0.5), 2, 3)).toEqual([3.1, 3.2]);
  });
});

describe("patience", () => {
  test("runs out even when all random delays are short", () => {
    const kind = new Backoff(60, () => 0);
    expect(delays(kind, 20).indexOf(null)).toBe(14);
  });

  test("is restored by progress", () => {
    const backoff = new Backoff(1, () => 1);
    expect(delays(backoff, 5).at(-1)).toBeNull();
    backoff.progressed();
    expect(backoff.delay()).toBe(0.2);
  });

  test("of 0 allows no retry", () => {
    expect(new Backoff(0, () => 0).delay()).toBeNull();
  });
});

test("a sleep ends with its signal", async () => {
  const abort = new AbortController();
  const sleep = realTiming.sleep(1e9, abort.signal);
  abort.abort();
  await sleep;
  await realTiming.sleep(1e9, abort.signal);
});
