import { describe, expect, test } from "vitest";

import {
  advance,
  idOf,
  mustLook,
  type Standing,
  type StandingEvent,
} from "../../src/upload/standing.js";

const unknown: Standing = { state: "unknown" };
const absent: Standing = { state: "absent" };
const requested: Standing = { state: "requested" };
const created: Standing = { state: "created", id: "1" };
const remembered: Standing = { state: "remembered", id: "1" };

const found: StandingEvent = { type: "looked", id: "1" };
const nothing: StandingEvent = { type: "looked", id: undefined };
const creating: StandingEvent = { type: "creating" };
const opened: StandingEvent = { type: "opened", id: "1" };
const dropped: StandingEvent = { type: "dropped" };

const LEGAL: ReadonlyArray<[Standing, StandingEvent, Standing]> = [
  [unknown, found, remembered],
  [unknown, nothing, absent],
  [absent, creating, requested],
  [requested, opened, created],
  // The answer to CREATE was lost: what is found is this client's own upload.
  [requested, found, created],
  [requested, nothing, absent],
  [created, opened, created],
  [remembered, opened, remembered],
  [created, dropped, absent],
  [remembered, dropped, absent],
];

test.each(LEGAL)("%j and %j: %j", (before, event, after) => {
  expect(advance(before, event)).toEqual(after);
});

describe("any other event", () => {
  const legal = new Set(LEGAL.map(([{ state }, { type }]) => `${state} ${type}`));
  const rest = [unknown, absent, requested, created, remembered].flatMap((standing) =>
    [found, creating, opened, dropped]
      .filter(({ type }) => !legal.has(`${standing.state} ${type}`))
      .map((event) => [standing, event] as const),
  );

  test.each(rest)("throws: %j and %j", (standing, event) => {
    expect(() => advance(standing, event)).toThrow(/is not possible while the upload is/);
  });
});

test("only an upload whose existence is uncertain is looked for", () => {
  const states = [unknown, absent, requested, created, remembered];
  expect(states.filter(mustLook)).toEqual([unknown, requested]);
  expect(states.map(idOf)).toEqual([undefined, undefined, undefined, "1", "1"]);
});
