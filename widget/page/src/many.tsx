/** The batch of this tab: one row for all its files, and the first of those that failed. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Batch, BatchTotals } from "../../src/upload/batch.js";
import { forgetMany, onMany } from "./batch.js";
import { Confirm } from "./dialog.js";
import { Holding } from "./holding.js";
import { announce } from "./live.js";
import { percent, sentence, size } from "./words.js";

/** Failed files that are listed. */
const LISTED = 20;
/** The rate is that of the last so many milliseconds. */
const WINDOW = 10_000;

const count = (files: number) => `${files.toLocaleString("en")} ${files === 1 ? "file" : "files"}`;

/** The batch, rendered again at each of its reports. */
function useBatch(): Batch | null {
  const [shown, setShown] = useState<{ batch: Batch | null }>({ batch: null });
  useEffect(() => onMany({ progress: (batch) => setShown({ batch }) }), []);
  return shown.batch;
}

/** Files per second, of late; null while there is no estimate. */
function useRate(batch: Batch | null): number | null {
  const samples = useRef<{ at: number; done: number }[]>([]);
  if (batch === null || batch.state !== "running") samples.current = [];
  else {
    const now = performance.now();
    samples.current.push({ at: now, done: batch.totals.done - batch.totals.skipped });
    while ((samples.current[1]?.at ?? now) < now - WINDOW) samples.current.shift();
  }
  const [first] = samples.current;
  const last = samples.current.at(-1);
  if (!first || !last || last.at - first.at < 1000) return null;
  return ((last.done - first.done) / (last.at - first.at)) * 1000;
}

/** Screen readers hear the start, each quarter and the end. */
function useAnnouncements(batch: Batch | null): void {
  const quarter = useRef(-1);
  useEffect(() => {
    if (batch === null) {
      quarter.current = -1;
      return;
    }
    const { done, failed, files } = batch.totals;
    const passed = Math.floor(((done + failed) / Math.max(files, 1)) * 4);
    if (quarter.current < 0) announce(`Uploading ${count(files)}.`);
    else if (passed > quarter.current) announce(passed < 4 ? `${passed * 25} percent uploaded.` : title(batch));
    quarter.current = Math.max(quarter.current, passed);
  });
}

export function Many() {
  const batch = useBatch();
  const rate = useRate(batch);
  const [cancelling, setCancelling] = useState(false);
  useAnnouncements(batch);
  if (batch === null) return null;
  const { totals, state, underWay } = batch;
  return (
    <section class="panel many" aria-labelledby="many">
      <h2 id="many">{title(batch)}</h2>
      <progress aria-label="Progress of all files" max={Math.max(1, totals.files)} value={totals.done} />
      <p class="hint">{facts(totals, underWay && state === "running" ? rate : null)}</p>
      <div class="actions">
        {underWay && state === "running" && <button type="button" onClick={() => batch.pause()}>Pause</button>}
        {underWay && state === "paused" && <button type="button" class="primary" onClick={() => batch.resume()}>Resume</button>}
        {underWay && <button type="button" class="danger-plain" onClick={() => setCancelling(true)}>Cancel</button>}
        {!underWay && <button type="button" onClick={forgetMany}>Close</button>}
      </div>
      {totals.failed > 0 && <Failures batch={batch} />}
      {cancelling && (
        <Confirm
          title="Cancel the remaining files?"
          text={`${count(totals.done)} are uploaded and stay. The others are not uploaded.`}
          action="Cancel the rest"
          otherwise="Continue"
          onConfirm={() => batch.cancel()}
          onClose={() => setCancelling(false)}
        />
      )}
    </section>
  );
}

function title({ state, underWay, totals: { files, done, failed } }: Batch): string {
  if (state === "cancelled") return `Cancelled after ${count(done)}`;
  if (underWay) return `${state === "paused" ? "Paused" : "Uploading"}: ${count(files)}`;
  return failed > 0 ? `${count(failed)} failed` : `${count(files)} uploaded`;
}

function facts({ files, done, skipped, size: all, stored }: BatchTotals, rate: number | null): string {
  const left = rate ? Math.ceil((files - done) / rate) : null;
  return [
    `${done.toLocaleString("en")} of ${count(files)} · ${percent(done, files)} %`,
    `${size(stored)} of ${size(all)}`,
    ...(skipped > 0 ? [`${skipped.toLocaleString("en")} were there already`] : []),
    ...(rate ? [`${rate.toFixed(rate < 10 ? 1 : 0)} files a second`] : []),
    ...(left !== null && left > 0 ? [`about ${left < 90 ? `${left} s` : `${Math.ceil(left / 60)} min`} left`] : []),
  ].join(" · ");
}

function Failures({ batch }: { batch: Batch }) {
  const { failures } = batch;
  const more = failures.length - LISTED;
  const full = failures.find(({ error }) => error.code === "quota-exceeded");
  return (
    <div class="problem">
      <ul aria-label="Files that failed">
        {failures.slice(0, LISTED).map(({ file, directory, error }, at) => (
          <li key={at}>
            <strong class="breakable" dir="auto">{[directory, file.name].filter(Boolean).join("/")}</strong> {sentence(error)}
          </li>
        ))}
      </ul>
      {more > 0 && <p>And {count(more)} more.</p>}
      {full && <Holding error={full.error} />}
      <button type="button" onClick={() => batch.retry()}>Try all again</button>
    </div>
  );
}
