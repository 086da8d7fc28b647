/** The drop area, the uploads of this tab, and their errors. */

import type { Meta } from "@uppy/core";
import { prettyETA } from "@uppy/core/utils";
import { hasCode } from "../../src/protocol/errors.js";
import Dashboard from "@uppy/dashboard";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { manyIds, onMany } from "./batch.js";
import { Confirm } from "./dialog.js";
import { readDrop } from "./drop.js";
import { Holding } from "./holding.js";
import { Icon } from "./icons.js";
import { Kinds } from "./kinds.js";
import { Many } from "./many.js";
import { tell } from "./news.js";
import { Unfinished } from "./unfinished.js";
import { isUnderWay, type Loss, losses, secondsLeft, serverId, uppy } from "./uploads.js";
import { sentence, size } from "./words.js";

interface Failure {
  id: string;
  name: string;
  text: string;
  /** What the server or the client said; missing for what never became an upload. */
  error?: unknown;
}

/** The uploads that failed, until they are retried or removed. */
function useFailures(): [Failure[], (id: string) => void] {
  const [failures, setFailures] = useState<Failure[]>([]);
  const without = useCallback((id: string) => setFailures((all) => all.filter((each) => each.id !== id)), []);
  useEffect(() => {
    const add = (file: { id: string; name: string } | undefined, error: unknown) => {
      if (!file) return;
      without(file.id);
      setFailures((before) => [...before, { id: file.id, name: file.name, text: sentence(error), error }]);
    };
    const gone = (file: { id: string } | undefined) => file && without(file.id);
    const unread = (event: Event) => {
      const paths = (event as CustomEvent<string[]>).detail;
      setFailures((before) => [...before, ...paths.map((path) => ({ id: path, name: path, text: UNREADABLE }))]);
    };
    document.addEventListener(UNREAD, unread);
    const none = () => setFailures([]);
    uppy.on("upload-error", add);
    uppy.on("restriction-failed", add);
    uppy.on("file-added", gone);
    uppy.on("upload-retry", gone);
    uppy.on("upload-success", gone);
    uppy.on("file-removed", gone);
    uppy.on("retry-all", none);
    uppy.on("cancel-all", none);
    return () => {
      document.removeEventListener(UNREAD, unread);
      uppy.off("upload-error", add);
      uppy.off("restriction-failed", add);
      uppy.off("file-added", gone);
      uppy.off("upload-retry", gone);
      uppy.off("upload-success", gone);
      uppy.off("file-removed", gone);
      uppy.off("retry-all", none);
      uppy.off("cancel-all", none);
    };
  }, [without]);
  return [failures, without];
}

/** Whether the browser is offline, or an upload lost the server and made no progress since. */
function useOffline(): boolean {
  const [lost, setLost] = useState(false);
  const [offline, setOffline] = useState(!navigator.onLine);
  useEffect(() => {
    const look = () => setOffline(!navigator.onLine);
    const losing = () => setLost(true);
    const heard = () => setLost(false);
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    uppy.on("upload-stalled", losing);
    for (const event of CONNECTED) uppy.on(event, heard);
    const stop = onMany({ stalled: losing, progress: heard });
    return () => {
      stop();
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
      uppy.off("upload-stalled", losing);
      for (const event of CONNECTED) uppy.off(event, heard);
    };
  }, []);
  return offline || lost;
}

/** Events after which the texts of the Dashboard change. */
const CHANGES_TEXTS = ["progress", "upload", "upload-retry", "upload-success", "upload-error", "complete"] as const;
const CONNECTED = ["upload-progress", "upload-success", "upload-error", "upload-pause", "pause-all", "file-removed"] as const;

/** Milliseconds in which the server surely deletes an aborted upload. */
const DELETING = 10_000;

/** The ids of the uploads of this tab, including those that the server is deleting. */
function useHere(): ReadonlySet<string> {
  const [here, setHere] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => tell("uploads"), [here]);
  useEffect(() => {
    const going = new Set<string>();
    const look = () => {
      const ids = new Set([...going, ...manyIds(), ...uppy.getFiles().flatMap((file) => serverId(file) ?? [])]);
      setHere((before) => ([...before].join() === [...ids].join() ? before : ids));
    };
    const removed = (file: Parameters<typeof isUnderWay>[0]) => {
      const id = serverId(file);
      if (id === undefined || !isUnderWay(file)) return;
      going.add(id);
      look();
      setTimeout(() => going.delete(id) && look(), DELETING);
    };
    uppy.on("state-update", look);
    uppy.on("file-removed", removed);
    const stop = onMany({ progress: look });
    return () => {
      stop();
      uppy.off("state-update", look);
      uppy.off("file-removed", removed);
    };
  }, []);
  return here;
}

/** What of a dropped folder could not be read; the detail has its paths. */
const UNREAD = "lading-unread";
const UNREADABLE = "The browser may not read it, so it is not uploaded. Check its permissions, then drop it again.";

/**
 * Takes what is dropped anywhere on the page, also beside the Dashboard. The Dashboard itself would
 * leave out every folder if one of its entries cannot be read.
 */
function useDrops(): void {
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    const drop = async (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      const dashboard = uppy.getPlugin<Dashboard<Meta, Record<string, unknown>>>("Dashboard");
      dashboard?.setPluginState({ isDraggingOver: false });
      const { files, unreadable } = await readDrop(event.dataTransfer);
      if (unreadable.length > 0) document.dispatchEvent(new CustomEvent(UNREAD, { detail: unreadable }));
      if (files.length > 0) dashboard?.addFiles(files);
    };
    document.addEventListener("dragover", over);
    document.addEventListener("drop", drop, { capture: true });
    return () => {
      document.removeEventListener("dragover", over);
      document.removeEventListener("drop", drop, { capture: true });
    };
  }, []);
}

/** Texts with better numbers than those of Uppy: running uploads only, and the time from `rate.ts`. */
function currentTexts(): Record<string, string | Record<number, string>> {
  const left = secondsLeft();
  const files = uppy.getFiles();
  const running = files.filter((file) => isUnderWay(file) && !file.isPaused).length;
  const failed = files.filter(({ error }) => error).length;
  const count = running || failed;
  const title = `${running ? "Uploading " : ""}${count} ${count === 1 ? "file" : "files"}${running ? "" : " failed"}`;
  return {
    ...WORDS,
    // No placeholders, so that Uppy's own numbers do not appear.
    xTimeLeft: left === null ? "estimating" : `${prettyETA(Math.ceil(left))} left`,
    uploadingXFiles: { 0: title, 1: title },
    error: title,
  };
}

const WORDS = {
  dashboardTitle: "Uploads",
  dropPasteFiles: "Drop files here, or %{browseFiles}",
  browseFiles: "Choose files",
  removeFile: "Remove file %{file}",
};

/** ARIA roles that the Dashboard lacks: its label needs a region, and its items need a list. */
function giveRoles(place: HTMLElement | null): void {
  place?.querySelector(".uppy-Dashboard:not([role])")?.setAttribute("role", "region");
  place?.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
}

export function Uploader({ onOpen }: { onOpen: (id: string) => void }) {
  const place = useRef<HTMLDivElement>(null);
  const [failures, dismiss] = useFailures();
  const offline = useOffline();
  const here = useHere();
  useDrops();
  useEffect(() => {
    if (!place.current) return;
    uppy.use(Dashboard<Meta, Record<string, unknown>>, {
      target: place.current,
      inline: true,
      width: "100%",
      height: "100%",
      theme: "auto",
      proudlyDisplayPoweredByUppy: false,
      showRemoveButtonAfterComplete: true,
      // Errors stay visible below instead of disappearing after some seconds.
      disableInformer: true,
      singleFileFullScreen: false,
      note: "Any size. If the connection drops, your upload resumes.",
      locale: { strings: WORDS },
    });
    const say = () => uppy.getPlugin("Dashboard")?.setOptions({ locale: { strings: currentTexts() } });
    for (const event of CHANGES_TEXTS) uppy.on(event, say);
    const seen = new MutationObserver(() => giveRoles(place.current));
    seen.observe(place.current, { childList: true, subtree: true });
    giveRoles(place.current);
    return () => {
      seen.disconnect();
      for (const event of CHANGES_TEXTS) uppy.off(event, say);
      const dashboard = uppy.getPlugin("Dashboard");
      if (dashboard) uppy.removePlugin(dashboard);
    };
  }, []);
  return (
    <div class="uploader">
      <h2 class="unseen">Upload</h2>
      {offline && (
        <p class="banner" role="status">
          <Icon name="offline" /> No connection to the server. Uploads resume when it is back.
        </p>
      )}
      <Kinds />
      <div ref={place} class="dashboard" />
      <Many />
      {failures.length > 0 && (
        <ul class="failures" aria-label="Failed uploads">
          {failures.map(({ id, name, text, error }) => (
            <li key={id} class="problem">
              <div>
                <strong class="breakable" dir="auto">{name}</strong> {text}
                {hasCode(error, "quota-exceeded") && <Holding error={error} />}
              </div>
              {uppy.getFile(id)?.error && (
                <button type="button" aria-label={`Try again: ${name}`} onClick={() => void uppy.retryUpload(id)}>Try again</button>
              )}
              <button type="button" class="plain" aria-label={`Dismiss the message about ${name}`} onClick={() => dismiss(id)}>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <Losing />
      <Unfinished here={here} onOpen={onOpen} />
    </div>
  );
}

/** Asks before the stored parts of uploads are deleted. */
function Losing() {
  const [loss, setLoss] = useState<Loss | null>(null);
  useEffect(() => losses.on("loss", setLoss), []);
  if (!loss) return null;
  const { names, bytes, abort } = loss;
  const one = names.length === 1;
  return (
    <Confirm
      title={one ? "Abort this upload?" : `Abort ${names.length} uploads?`}
      text={`The stored ${one ? `part of ${names[0]}` : "parts"} (${size(bytes)}) will be deleted.`}
      action="Abort"
      otherwise={one ? "Keep it" : "Keep them"}
      onConfirm={async () => abort()}
      onClose={() => setLoss(null)}
    />
  );
}
