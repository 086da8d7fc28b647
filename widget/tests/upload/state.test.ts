import { expect, test } from "vitest";

import { follows, isUnderWay, type UploadState } from "../../src/upload/state.js";

const STATES: readonly UploadState[] = [
  "idle",
  "connecting",
  "uploading",
  "paused",
  "offline",
  "verifying",
  "done",
  "failed",
  "cancelled",
];

test("nothing follows a finished or a cancelled upload", () => {
  for (const state of STATES) {
    expect([follows("done", state), follows("cancelled", state)]).toEqual([false, false]);
  }
});

test("a paused upload only connects again or ends", () => {
  expect(STATES.filter((state) => follows("paused", state))).toEqual([
    "connecting",
    "done",
    "failed",
    "cancelled",
  ]);
});

test("whatever is under way can be paused, and nothing else can", () => {
  expect(STATES.filter((state) => follows(state, "paused"))).toEqual(STATES.filter(isUnderWay));
});

test("everything but a finished upload can be cancelled", () => {
  const open = STATES.filter((state) => state !== "done" && state !== "cancelled");
  expect(STATES.filter((state) => follows(state, "cancelled"))).toEqual(open);
});
