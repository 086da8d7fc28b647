import { expect, test, vi } from "vitest";

import { Emitter } from "../../src/upload/emitter.js";

test("a listener that throws stops no other, and its error reaches the page", async () => {
  const thrown: Array<() => void> = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) => void thrown.push(task));
  const emitter = new Emitter<{ event: number }>();
  const heard: number[] = [];
  const stop = emitter.on("event", () => {
    throw new Error("an error of the page");
  });
  emitter.on("event", (value) => heard.push(value));
  emitter.emit("event", 1);
  stop();
  emitter.emit("event", 2);
  vi.unstubAllGlobals();
  expect(heard).toEqual([1, 2]);
  expect(thrown).toHaveLength(1);
  expect(thrown[0]).toThrow("an error of the page");
});
