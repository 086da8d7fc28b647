/** The batch of this tab: many files that were dropped or chosen at once. */

import { Batch, type BatchFile } from "../../src/upload/batch.js";
import { Emitter } from "../../src/upload/emitter.js";
import { home } from "./api.js";
import { tell } from "./news.js";

interface ManyEvents {
  /** Something changed; null: there is no batch any more. */
  progress: Batch | null;
  stalled: undefined;
}

const events = new Emitter<ManyEvents>();

let batch: Batch | null = null;

/** Files join the batch that runs, or become a new one. */
export function addMany(files: BatchFile[]): void {
  if (batch === null || !batch.underWay) batch = begin();
  batch.add(files);
}

function begin(): Batch {
  const begun = new Batch({ url: home.href });
  let done = 0;
  begun.on("change", (now) => {
    if (now !== batch) return;
    if (now.totals.done > done) tell("files");
    done = now.totals.done;
    events.emit("progress", now);
  });
  begun.on("stalled", () => events.emit("stalled", undefined));
  begun.on("failure", ({ error }) => {
    if (error.code === "unauthorized") tell("signed-out");
  });
  return begun;
}

/** Stop showing the batch. */
export function forgetMany(): void {
  batch = null;
  events.emit("progress", null);
}

export const isManyUnderWay = () => batch?.underWay ?? false;
export const manyIds = (): string[] => batch?.ids ?? [];

/** Pause the batch if it runs. Returns a function that resumes it. */
export function pauseMany(): () => void {
  const running = batch?.state === "running" && batch.underWay ? batch : null;
  running?.pause();
  return () => running?.resume();
}

export function onMany(listeners: { stalled?: () => void; progress?: (batch: Batch | null) => void }): () => void {
  const stops = [
    listeners.stalled && events.on("stalled", listeners.stalled),
    listeners.progress && events.on("progress", listeners.progress),
  ];
  return () => stops.forEach((stop) => stop?.());
}
