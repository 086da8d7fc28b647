/** What uploads: the place to choose files, the drop anywhere, the queue of this tab, and what failed. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Choice } from "../../src/upload/batch.js";
import { Dialog } from "./dialog.js";
import { type Drop, readDrop } from "./drop.js";
import { Holding } from "./holding.js";
import { Icon } from "./icons.js";
import { Kinds } from "./kinds.js";
import { Queue, useBatch } from "./queue.js";
import { Unfinished } from "./unfinished.js";
import { count, dismiss, events, type Failure, failures, forgetRate, isOfQuota, type Question, refuse, tryAgain, upload } from "./uploads.js";
import { size } from "./words.js";

/** Failed files that are listed. */
const LISTED = 20;

const UNREADABLE = "The browser may not read it, so it is not uploaded. Check its permissions, then drop it again.";

/** Whether the browser is offline, or an upload lost the server and made no progress since. */
function useOffline(): boolean {
  const [lost, setLost] = useState(false);
  const [offline, setOffline] = useState(!navigator.onLine);
  useEffect(() => {
    const look = () => setOffline(!navigator.onLine);
    let stored = 0;
    const stops = [
      events.on("stalled", () => {
        setLost(true);
        forgetRate();
      }),
      events.on("change", (batch) => {
        const now = batch?.totals.stored ?? 0;
        if (now > stored || !batch?.underWay) setLost(false);
        stored = now;
      }),
    ];
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    return () => {
      for (const stop of stops) stop();
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
    };
  }, []);
  return offline || lost;
}

function take({ files, unreadable }: Drop, directory: string): void {
  for (const path of unreadable) refuse(path, UNREADABLE);
  if (files.length > 0) upload(files, directory);
}

/**
 * Takes what is dropped or pasted anywhere on the page into the folder that is shown. Returns whether files are
 * being dragged over the page.
 */
function useDrops(directory: string): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    let leaving: ReturnType<typeof setTimeout> | undefined;
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      clearTimeout(leaving);
      setOver(true);
    };
    // Also when the pointer moves from one element to the next: then `dragover` follows at once.
    const leave = () => {
      clearTimeout(leaving);
      leaving = setTimeout(() => setOver(false), 100);
    };
    const drop = async (event: DragEvent) => {
      leave();
      if (!hasFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      const folder = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-folder]")?.dataset["folder"] : undefined;
      take(await readDrop(event.dataTransfer), folder ?? directory);
    };
    const paste = async (event: ClipboardEvent) => {
      if (!event.clipboardData?.types.includes("Files")) return;
      event.preventDefault();
      take(await readDrop(event.clipboardData), directory);
    };
    document.addEventListener("dragover", drag);
    document.addEventListener("dragleave", leave);
    document.addEventListener("drop", drop);
    document.addEventListener("paste", paste);
    return () => {
      clearTimeout(leaving);
      document.removeEventListener("dragover", drag);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("drop", drop);
      document.removeEventListener("paste", paste);
    };
  }, [directory]);
  return over;
}

interface UploaderProps {
  /** Where files are uploaded to. */
  directory: string;
  onOpen: (id: string) => void;
}

export function Uploader({ directory, onOpen }: UploaderProps) {
  const offline = useOffline();
  const dragging = useDrops(directory);
  return (
    <div class="uploader">
      <h2 class="unseen">Upload</h2>
      {offline && (
        <p class="banner" role="status">
          <Icon name="offline" /> No connection to the server. Uploads resume when it is back.
        </p>
      )}
      <Kinds />
      <Chooser directory={directory} />
      <Queue offline={offline} onOpen={onOpen} />
      <Failures />
      <Unfinished onOpen={onOpen} />
      <Asking />
      {dragging && (
        <div class="drop-over" aria-hidden="true">
          <p><Icon name="upload" /> {directory ? `Drop to upload into ${directory}` : "Drop to upload"}</p>
        </div>
      )}
    </div>
  );
}

function Chooser({ directory }: { directory: string }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const chosen = (input: HTMLInputElement) => {
    if (input.files?.length) upload([...input.files], directory);
    // So that the same file can be chosen again.
    input.value = "";
  };
  return (
    <div class="chooser" data-testid="chooser">
      <span class="chooser-sign"><Icon name="upload" /></span>
      <p>Drop files or folders anywhere, or paste them</p>
      <div class="chooser-buttons">
        <button type="button" class="primary" onClick={() => files.current?.click()}>Choose files</button>
        {"webkitdirectory" in HTMLInputElement.prototype && (
          <button type="button" onClick={() => folder.current?.click()}>Choose a folder</button>
        )}
      </div>
      <p class="hint breakable">{directory ? `They go into ${directory}. ` : ""}Any size. If the connection drops, your upload resumes.</p>
      <input ref={files} type="file" multiple hidden aria-label="Files to upload" onChange={(event) => chosen(event.currentTarget)} />
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        aria-label="Folder to upload"
        onChange={(event) => chosen(event.currentTarget)}
      />
    </div>
  );
}

function Failures() {
  useBatch();
  const all = failures();
  const again = all.filter(({ item }) => item);
  if (all.length === 0) return null;
  const quota = all.find(({ item }) => isOfQuota(item?.error));
  const more = all.length - LISTED;
  return (
    <section class="failures" aria-labelledby="failures">
      <h2 id="failures">{count(all.length)} failed</h2>
      <ul aria-label="Failed uploads">
        {all.slice(0, LISTED).map((failure) => <FailureRow key={failure.key} failure={failure} />)}
      </ul>
      {more > 0 && <p class="hint">And {more.toLocaleString("en")} more.</p>}
      {quota && isOfQuota(quota.item?.error) && <div class="problem"><Holding error={quota.item.error} /></div>}
      {all.length > 1 && (
        <div class="actions">
          {again.length > 1 && <button type="button" onClick={() => tryAgain(again)}>Try all again</button>}
          <button type="button" onClick={() => all.forEach(dismiss)}>Dismiss all</button>
        </div>
      )}
    </section>
  );
}

function FailureRow({ failure }: { failure: Failure }) {
  const { name, text, item } = failure;
  return (
    <li class="problem">
      <div><strong class="breakable" dir="auto">{name}</strong> {text}</div>
      {item && <button type="button" aria-label={`Try again: ${name}`} onClick={() => tryAgain([failure])}>Try again</button>}
      <button type="button" class="plain" aria-label={`Dismiss the message about ${name}`} onClick={() => dismiss(failure)}>
        <Icon name="close" />
      </button>
    </li>
  );
}

/** Asks about a file whose name is taken. */
function Asking() {
  const id = useId();
  const [question, setQuestion] = useState<Question | null>(null);
  const [all, setAll] = useState(false);
  useEffect(() => events.on("question", setQuestion), []);
  if (!question) return null;
  const { item: { file, directory }, there } = question;
  const answer = (choice: Choice) => {
    setQuestion(null);
    question.answer(choice, all);
    setAll(false);
  };
  return (
    <Dialog key={file.name} title="A file of this name is there" onClose={() => answer("skip")}>
      <p class="breakable">
        <strong dir="auto">{file.name}</strong> is {directory ? <>in <strong dir="auto">{directory}</strong></> : "there"} already,
        with other content ({size(there.size)}). Yours has {size(file.size)}.
      </p>
      <label class="check" for={id}>
        <input id={id} type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> The same for all others
      </label>
      <div class="actions">
        <button type="button" class="primary" autofocus onClick={() => answer("both")}>Keep both</button>
        <button type="button" onClick={() => answer("replace")}>Replace</button>
        <button type="button" onClick={() => answer("skip")}>Skip</button>
      </div>
    </Dialog>
  );
}
