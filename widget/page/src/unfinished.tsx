/** Unfinished uploads that do not run in this tab: from other tabs, devices and days. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { SMALL } from "../../src/upload/batch.js";
import { abortUpload, listUploads, type Upload } from "./api.js";
import { Confirm } from "./dialog.js";
import { Icon, kindOf } from "./icons.js";
import { announce } from "./live.js";
import { tell, useNews } from "./news.js";
import { events, underWay, uploadIds } from "./uploads.js";
import { moment, percent, size } from "./words.js";

const WATCHING = 2_000;
const IDLE = 15_000;

/** The list, refreshed while the page is visible, and a function that refreshes it now. */
function useUnfinished(): [Upload[], () => Promise<void>] {
  const [uploads, setUploads] = useState<Upload[]>([]);
  const known = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const look = useCallback(async () => {
    clearTimeout(timer.current);
    const found = document.visibilityState === "visible" ? await listUploads().catch(() => null) : null;
    clearTimeout(timer.current);
    timer.current = setTimeout(look, found?.length ? WATCHING : IDLE);
    if (!found) return;
    const before = known.current;
    known.current = new Set(found.map(({ _id }) => _id));
    setUploads(found.filter((upload) => !isPassing(upload)));
    // An upload that left the list may be a file now.
    if ([...before].some((id) => !known.current.has(id))) tell("files");
  }, []);
  useEffect(() => {
    void look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      clearTimeout(timer.current);
    };
  }, [look]);
  useNews("files", look);
  return [uploads, look];
}

/** Milliseconds in which the server surely deletes a cancelled upload. */
const DELETING = 10_000;

/** The ids of the uploads of this tab, which are shown elsewhere, and of those that it had a moment ago. */
function useHere(): ReadonlySet<string> {
  const [here, setHere] = useState<ReadonlySet<string>>(new Set());
  const known = useRef(here);
  useEffect(() => {
    if (known.current !== here) tell("uploads");
    known.current = here;
  }, [here]);
  useEffect(() => {
    const seen = new Map<string, number>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      const now = performance.now();
      for (const id of uploadIds()) seen.set(id, now);
      for (const [id, at] of seen) if (at <= now - DELETING) seen.delete(id);
      setHere((before) => ([...before].join() === [...seen.keys()].join() ? before : new Set(seen.keys())));
      clearTimeout(timer);
      if (seen.size > 0) timer = setTimeout(look, DELETING);
    };
    const stop = events.on("change", look);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
  return here;
}

/** Small files of this tab are uploads on the server only while their one request runs. */
export function isPassing({ fingerprint, size }: Upload): boolean {
  return fingerprint === null && size !== null && size <= SMALL && underWay();
}

export function Unfinished({ onOpen }: { onOpen: (id: string) => void }) {
  const here = useHere();
  const [all, look] = useUnfinished();
  const uploads = all.filter(({ _id }) => !here.has(_id));
  const [cancelling, setCancelling] = useState<Upload | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const cancelled = useRef(false);
  useEffect(() => {
    // The button that had the focus before no longer exists, and perhaps the list neither.
    if (!cancelling && cancelled.current) (heading.current ?? document.getElementById("library"))?.focus();
    cancelled.current = false;
  }, [cancelling]);
  const cancel = async ({ _id, name }: Upload) => {
    await abortUpload(_id);
    announce(`The upload of ${name} was cancelled.`);
    await look();
    cancelled.current = true;
  };
  if (uploads.length === 0 && !cancelling) return null;
  return (
    <section class="panel" aria-labelledby="unfinished">
      <h2 id="unfinished" tabIndex={-1} ref={heading}>Unfinished uploads</h2>
      <p class="hint">Choose the same file again, here or on another device, and its upload resumes.</p>
      <ul class="unfinished">
        {uploads.map((upload) => (
          <Row key={upload._id} upload={upload} onOpen={() => onOpen(upload._id)} onCancel={() => setCancelling(upload)} />
        ))}
      </ul>
      {cancelling && (
        <Confirm
          title="Cancel this upload?"
          text={`The stored part of ${cancelling.name} will be deleted.`}
          action="Cancel the upload"
          onConfirm={() => cancel(cancelling)}
          onClose={() => setCancelling(null)}
        />
      )}
    </section>
  );
}

function Row({ upload, onOpen, onCancel }: { upload: Upload; onOpen: () => void; onCancel: () => void }) {
  const { name, size: total, upload_size: done, expires_at } = upload;
  const known = total === null ? size(done) : `${size(done)} of ${size(total)} · ${percent(done, total)} %`;
  return (
    <li>
      <span class="unfinished-sign"><Icon name={kindOf(upload.mime_type)} /></span>
      <div class="unfinished-facts">
        <button type="button" class="link-like breakable" dir="auto" onClick={onOpen}>{name}</button>
        <progress aria-label={`Upload progress of ${name}`} {...(total === null ? {} : { max: Math.max(1, total), value: done })} />
        <p class="hint">
          {known}
          {expires_at && <> · kept until {moment(expires_at)}</>}
        </p>
      </div>
      <button type="button" class="plain" aria-label={`Cancel the upload of ${name}`} onClick={onCancel}>
        <Icon name="close" />
      </button>
    </li>
  );
}
