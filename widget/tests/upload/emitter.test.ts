import { expect, test, vi } from "vitest";

import { Emitter } from "../../src/upload/emitter.js";

test("a hearer that throws harms nobody else, and is told as any error of the page's", async () => {
  const thrown: Array<() => void> = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) => void thrown.push(task));
  const emitter = new Emitter<{ event: number }>();
  const heard: number[] = [];
  const stop = emitter.on("event", () => {
    throw new Error("a fault of the page's");
  });
  emitter.on("event", (value) => heard.push(value));
  emitter.emit("event", 1);
  stop();
  emitter.emit("event", 2);
  vi.unstubAllGlobals();
  expect(heard).toEqual([1, 2]);
  expect(thrown).toHaveLength(1);
  expect(thrown[0]).toThrow("a fault of the page's");
});
