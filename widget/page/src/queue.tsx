/** The uploads of this tab: one title, one progress, and a row for each file. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import type { Batch, BatchItem } from "../../src/upload/batch.js";
import { Confirm } from "./dialog.js";
import { Icon, kindOf } from "./icons.js";
import { announce } from "./live.js";
import { Rate } from "./rate.js";
import { bytesPerSecond, close, count, current, events, joined, secondsLeft } from "./uploads.js";
import { useVirtual } from "./virtual.js";
import { percent, size, timeLeft } from "./words.js";

/** An upload with at most this many stored bytes is cancelled without a question. */
const LITTLE = 1_000_000;
const ROW = 60;

/** The batch, rendered again at each of its reports. */
export function useBatch(): Batch | null {
  const [, again] = useReducer((times: number) => times + 1, 0);
  useEffect(() => events.on("change", () => again(undefined as never)), []);
  return current();
}

/** Bytes a second of each file that is being sent. */
function useRates(batch: Batch | null): (item: BatchItem) => number | null {
  const rates = useRef(new Map<BatchItem, Rate>());
  const now = performance.now();
  const running = new Set(batch?.running);
  for (const item of [...rates.current.keys()]) if (!running.has(item)) rates.current.delete(item);
  for (const item of running) {
    const rate = rates.current.get(item) ?? new Rate();
    rates.current.set(item, rate);
    if (item.state === "paused") rate.paused();
    else rate.sent(item.sent, now);
  }
  return (item) => rates.current.get(item)?.perSecond(now) ?? null;
}

interface QueueProps {
  /** Whether the server cannot be reached: then no rate and no time is true. */
  offline: boolean;
  onOpen: (id: string) => void;
}

export function Queue({ offline, onOpen }: QueueProps) {
  const batch = useBatch();
  const rateOf = useRates(batch);
  const [cancelling, setCancelling] = useState<{ item?: BatchItem } | null>(null);
  if (batch === null || batch.length === 0) return null;
  const { totals, state, underWay } = batch;
  const cancel = async (item?: BatchItem) => {
    announce(item ? `The upload of ${item.file.name} was cancelled.` : "The uploads were cancelled.");
    await batch.cancel(item);
    events.emit("change", batch);
  };
  const stop = (one?: BatchItem) => {
    const item = one ?? (batch.length === 1 ? batch.at(0) : undefined);
    const lost = item ? item.stored : batch.running.reduce((sum, { stored }) => sum + stored, 0);
    if (lost <= LITTLE && item) void cancel(item);
    else setCancelling(item ? { item } : {});
  };
  return (
    <section class="panel queue" aria-labelledby="queue">
      <header>
        <h2 id="queue" tabIndex={-1}>{title(batch)}</h2>
        <div class="queue-actions">
          {underWay && state === "running" && <button type="button" class="small" onClick={() => batch.pause()}>Pause</button>}
          {underWay && state === "paused" && <button type="button" class="small primary" onClick={() => batch.resume()}>Resume</button>}
          {underWay && <button type="button" class="small danger-plain" onClick={() => stop()}>Cancel</button>}
          {!underWay && <button type="button" class="small" onClick={close}>Close</button>}
        </div>
      </header>
      {underWay && (
        <progress
          aria-label="Progress of all files"
          max={Math.max(1, totals.size || totals.files)}
          value={totals.size ? totals.stored : totals.done}
        />
      )}
      <p class="hint">{facts(batch, offline)}</p>
      <Rows batch={batch} rateOf={offline ? () => null : rateOf} onCancel={stop} onOpen={onOpen} />
      {cancelling && (
        <Confirm
          title={cancelling.item ? "Cancel this upload?" : "Cancel the uploads?"}
          text={
            cancelling.item
              ? `The stored part of ${cancelling.item.file.name} (${size(cancelling.item.stored)}) will be deleted.`
              : `What is not finished will be deleted. Finished files stay (${totals.done.toLocaleString("en")} of ${count(totals.files)}).`
          }
          action="Cancel the upload"
          otherwise="Continue"
          onConfirm={async () => void cancel(cancelling.item)}
          onClose={() => setCancelling(null)}
        />
      )}
    </section>
  );
}

export function title({ state, underWay, length, totals: { done, failed, files, skipped } }: Batch): string {
  if (state === "cancelled") return `Cancelled after ${count(done)}`;
  if (underWay) return `${state === "paused" ? "Paused:" : "Uploading"} ${count(length)}`;
  return skipped > 0 && skipped === done ? `${count(skipped)} already there` : `${count(files - failed)} uploaded`;
}

function facts(batch: Batch, offline: boolean): string {
  const { files, done, skipped, size: all, stored, failed } = batch.totals;
  const moving = batch.underWay && batch.state === "running" && !offline;
  const [rate, left] = moving ? [bytesPerSecond(), secondsLeft()] : [null, null];
  return [
    ...(files > 1 ? [`${done.toLocaleString("en")} of ${count(files - failed)}`] : []),
    batch.underWay ? `${size(stored)} of ${size(all)} · ${percent(stored, all)} %` : size(stored),
    ...(skipped > 0 ? [`${skipped.toLocaleString("en")} not sent: already there`] : []),
    ...(rate ? [`${size(rate)}/s`] : []),
    ...(left ? [timeLeft(left)] : []),
    ...(failed > 0 && done > 0 ? [`${failed.toLocaleString("en")} failed`] : []),
  ].map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
}

interface RowsProps {
  batch: Batch;
  rateOf: (item: BatchItem) => number | null;
  onCancel: (item: BatchItem) => void;
  onOpen: (id: string) => void;
}

function Rows({ batch, rateOf, onCancel, onOpen }: RowsProps) {
  const place = useRef<HTMLDivElement>(null);
  const { items, height } = useVirtual(place, batch.length, ROW);
  return (
    <div class="queue-rows" ref={place}>
      <ul aria-label="Files of this upload" style={{ height: `${height}px` }}>
        {items.map(({ index, start }) => {
          const item = batch.at(index);
          return item && (
            <Row
              key={index}
              item={item}
              at={start}
              place={[index + 1, batch.length]}
              batch={batch}
              rate={rateOf(item)}
              onCancel={() => onCancel(item)}
              onOpen={onOpen}
            />
          );
        })}
      </ul>
    </div>
  );
}

interface RowProps {
  item: BatchItem;
  at: number;
  place: [number, number];
  batch: Batch;
  rate: number | null;
  onCancel: () => void;
  onOpen: (id: string) => void;
}

function Row({ item, at, place, batch, rate, onCancel, onOpen }: RowProps) {
  const { file, directory, state, stored, id } = item;
  const { name } = file;
  const act = (what: () => void) => () => {
    what();
    events.emit("change", batch);
  };
  const over = state === "done" || state === "there" || state === "skipped";
  return (
    <li class={`queue-row ${state}`} style={{ transform: `translateY(${at}px)` }} aria-posinset={place[0]} aria-setsize={place[1]}>
      <span class="queue-sign"><Icon name={state === "done" ? "done" : kindOf(file.type)} /></span>
      <div class="queue-facts">
        {over && id ? (
          <button type="button" class="link-like cut" dir="auto" title={name} onClick={() => onOpen(id)}>{name}</button>
        ) : (
          <span class="cut" dir="auto" title={joined(directory ?? "", name)}>{name}</span>
        )}
        {(state === "sending" || state === "paused" || state === "verifying") && (
          <progress aria-label={`Upload progress of ${name}`} max={Math.max(1, file.size)} value={stored} />
        )}
        <span class="hint cut">{saying(item, rate)}</span>
      </div>
      {(state === "there" || state === "skipped") && (
        <button type="button" class="small" aria-label={`Keep both: ${name}`} onClick={act(() => batch.retry(item))}>Keep both</button>
      )}
      {state === "sending" && batch.state === "running" && (
        <button type="button" class="plain" aria-label={`Pause ${name}`} onClick={act(() => batch.pause(item))}><Icon name="pause" /></button>
      )}
      {state === "paused" && (
        <button type="button" class="plain" aria-label={`Resume ${name}`} onClick={act(() => batch.resume(item))}><Icon name="play" /></button>
      )}
      {!over && batch.state !== "cancelled" && (
        <button type="button" class="plain" aria-label={`Cancel the upload of ${name}`} onClick={onCancel}><Icon name="close" /></button>
      )}
    </li>
  );
}

function saying({ state, stored, file }: BatchItem, rate: number | null): string {
  const part = `${percent(stored, file.size)} % of ${size(file.size)}`;
  switch (state) {
    case "waiting":
      return `Waiting · ${size(file.size)}`;
    case "asking":
      return "A file of this name is there. What should happen?";
    case "sending":
      return rate ? `${part} · ${size(rate)}/s` : part;
    case "verifying":
      return `${part} · being checked`;
    case "paused":
      return `Paused · ${part}`;
    case "there":
      return "Already there, with the same content";
    case "skipped":
      return "Skipped: a file of this name is there";
    case "failed":
      return "Failed";
    case "done":
      return size(file.size);
  }
}
