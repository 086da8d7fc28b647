import { expect, test } from "vitest";

import { type Outcome, Together } from "../../src/upload/together.js";
import { settle } from "../support/helpers.js";

const NEVER = new AbortController().signal;

/** Work that ends when the test says so: each operation doubles numbers, and fails for 13. */
function held(limits: Partial<ConstructorParameters<typeof Together<number, number>>[1]> = {}) {
  const begun: Array<{ items: readonly number[]; signal: AbortSignal; go: (failure?: Error) => void }> = [];
  const work = (items: readonly number[], signal: AbortSignal) =>
    new Promise<Array<Outcome<number>>>((resolve, reject) => {
      const outcomes = () => items.map((item) => (item === 13 ? { error: new Error("unlucky") } : { result: 2 * item }));
      begun.push({ items, signal, go: (failure) => (failure ? reject(failure) : resolve(outcomes())) });
    });
  const together = new Together<number, number>(work, { atOnce: 1, most: 10, fits: () => true, ...limits });
  const hand = (item: number, size = 1, signal = NEVER) => {
    const handed = together.do(item, size, signal);
    const outcome = handed.done.catch((error: unknown) => String(error));
    return { ...handed, outcome };
  };
  return { together, begun, hand, seen: () => begun.map(({ items }) => items) };
}

test("the first waits for nobody, and those that come meanwhile go together, up to a size", async () => {
  const { begun, hand, seen } = held();
  const all = [1, 2, 3, 4].map((item) => hand(item, 4));
  expect(seen()).toEqual([[1]]);
  begun[0]!.go();
  await settle();
  expect(seen()).toEqual([[1], [2, 3]]);
  begun[1]!.go();
  await settle();
  begun[2]!.go();
  expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual([2, 4, 6, 8]);
});

test("one that is larger than that goes alone", async () => {
  const { begun, hand, seen } = held();
  hand(1);
  hand(2, 99);
  hand(3);
  begun[0]!.go();
  await settle();
  expect(seen()).toEqual([[1], [2]]);
});

test("what does not fit to the first waits for the next", async () => {
  const { begun, hand, seen } = held({ fits: (first, other) => first % 2 === other % 2 });
  for (const item of [1, 2, 4, 5, 6]) hand(item);
  begun[0]!.go();
  await settle();
  expect(seen()).toEqual([[1], [2, 4]]);
});

test("each has an outcome of its own, and a failure of the whole is everybody's", async () => {
  const { begun, hand } = held();
  const all = [1, 13, 3].map((item) => hand(item));
  begun[0]!.go();
  await settle();
  begun[1]!.go();
  expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual([2, "Error: unlucky", 6]);
  const others = [4, 5, 6].map((item) => hand(item));
  begun[2]!.go();
  await settle();
  begun[3]!.go(new Error("lost"));
  expect(await Promise.all(others.map(({ outcome }) => outcome))).toEqual([8, "Error: lost", "Error: lost"]);
});

test("who goes away leaves the queue, and the work ends when all are gone", async () => {
  const { begun, hand, seen } = held();
  const [one, two] = [new AbortController(), new AbortController()];
  const first = hand(1);
  const waiting = hand(2, 1, one.signal);
  const taken = hand(3);
  hand(4, 1, two.signal);
  const last = hand(5, 1, two.signal);
  one.abort(new Error("paused"));
  taken.leave(new Error("cancelled"));
  begun[0]!.go();
  expect(await first.outcome).toBe(2);
  await settle();
  expect(await Promise.all([waiting.outcome, taken.outcome])).toEqual(["Error: paused", "Error: cancelled"]);
  expect(seen()).toEqual([[1], [4, 5]]);
  last.leave(new Error("too late"));
  expect(begun[1]!.signal.aborted).toBe(false);
  two.abort(new Error("paused"));
  expect([await last.outcome, begun[1]!.signal.aborted]).toEqual(["Error: paused", true]);
});

test("nothing begins while it is held", async () => {
  const { together, begun, hand, seen } = held();
  hand(1);
  together.hold();
  hand(2);
  begun[0]!.go();
  await settle();
  expect(seen()).toEqual([[1]]);
  together.release();
  expect(seen()).toEqual([[1], [2]]);
});
