/** The uploads of this tab: Uppy with the Lading plugin, and what screen readers announce about them. */

import Uppy, { type Meta, type UppyFile } from "@uppy/core";
import type { BatchFile } from "../../src/upload/batch.js";
import { Emitter } from "../../src/upload/emitter.js";
import { UploadError } from "../../src/protocol/errors.js";
import Lading, { directoryOf } from "../../src/uppy.js";
import { home } from "./api.js";
import { addMany, isManyUnderWay, pauseMany } from "./batch.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { Rate } from "./rate.js";
import { sentence } from "./words.js";

type Body = Record<string, unknown>;

/** An upload with at most this many stored bytes is aborted without a question. */
const LITTLE = 1_000_000;

/** What is lost when running uploads are aborted. */
export interface Loss {
  names: string[];
  bytes: number;
  abort: () => void;
}

/** The listener asks the user, and calls `abort` if the user agrees. */
export const losses = new Emitter<{ loss: Loss }>();

/** Uppy's work for one file grows with the number of its files: it gets at most so many unfinished ones. */
const MANY = 50;
/** And so many at all. */
const MOST = 300;

type Descriptors = Parameters<Uppy<Meta, Body>["addFiles"]>[0];

/** Uppy, but its buttons ask before they delete, and many files at once become a batch. */
class Asking extends Uppy<Meta, Body> {
  override addFiles(files: Descriptors): void {
    const known = this.getFiles();
    const running = known.reduce((sum, { progress }) => sum + (progress.uploadComplete ? 0 : 1), 0);
    if (running + files.length <= MANY && known.length + files.length <= MOST) super.addFiles(files);
    else addMany(files.map(asBatchFile));
  }

  override cancelAll(): void {
    this.ask(this.getFiles(), () => super.cancelAll());
  }

  override removeFile(id: string): void {
    this.ask([this.getFile(id)], () => super.removeFile(id));
  }

  private ask(files: UppyFile<Meta, Body>[], abort: () => void): void {
    const running = files.filter((file) => file && isUnderWay(file));
    const bytes = running.reduce((sum, { progress }) => sum + (progress.bytesUploaded || 0), 0);
    if (bytes <= LITTLE) abort();
    else losses.emit("loss", { names: running.map(({ name }) => name), bytes, abort });
  }
}

function asBatchFile({ data, meta }: Descriptors[number]): BatchFile {
  const path = (meta as { relativePath?: string | null } | undefined)?.relativePath;
  return { file: data as File, directory: directoryOf(path), kind };
}

let kind: string | undefined;

/** From now on files are of this kind, also those that failed and are tried again. */
export function chooseKind(name: string | undefined): void {
  kind = name;
  uppy.getPlugin<Lading<Meta, Body>>("Lading")?.setOptions({ kind });
}

export const uppy = new Asking({
  autoProceed: true,
  // A file can be chosen again after it finished or failed, but not while it is under way.
  onBeforeFileAdded: (file, files) => {
    const same = files[file.id];
    return same === undefined || same.progress.uploadComplete === true || Boolean(same.error);
  },
});
uppy.setOptions({
  locale: {
    strings: { noDuplicates: "This file is already being uploaded. Wait until it is done." },
    pluralize: uppy.locale.pluralize,
  },
});
uppy.use(Lading<Meta, Body>, { url: home.href });

/** The id of a file's upload on the server; undefined until it is created. */
export function serverId(file: object): string | undefined {
  return (file as { lading?: { id: string } }).lading?.id;
}

/** Whether leaving the page would interrupt an upload. */
export const underWay = () => isManyUnderWay() || uppy.getFiles().some(isUnderWay);

export function isUnderWay({ progress, error }: UppyFile<Meta, Body>): boolean {
  return Boolean(progress.uploadStarted) && !progress.uploadComplete && !error;
}

let leaving = false;

/** Leave the page without another question. */
export function leaveUnasked(): void {
  leaving = true;
}

window.addEventListener("beforeunload", (event) => {
  if (underWay() && !leaving) event.preventDefault();
});

/** Pause the running uploads. Returns a function that resumes these and no others. */
export function pauseRunning(): () => void {
  const running = uppy.getFiles().filter((file) => isUnderWay(file) && !file.isPaused);
  const toggle = () => {
    for (const { id } of running) if (uppy.getFile(id)) uppy.pauseResume(id);
  };
  const resumeMany = pauseMany();
  toggle();
  return () => {
    toggle();
    resumeMany();
  };
}

// A file that is chosen again replaces a failed one of the same name, even if it changed.
uppy.on("file-added", (file) => {
  for (const { id, name, error } of uppy.getFiles()) {
    if (id !== file.id && name === file.name && error) uppy.removeFile(id);
  }
});

const rate = new Rate();

uppy.on("upload", (_id, files) => files.forEach(({ id }) => rate.begin(id)));
uppy.on("upload-progress", (file, { bytesUploaded }) => {
  if (file) rate.stored(file.id, bytesUploaded || 0, performance.now());
});
for (const event of ["upload-pause", "pause-all", "resume-all"] as const) uppy.on(event, () => rate.paused());

/** Seconds until all running uploads are done; null while unknown. */
export function secondsLeft(): number | null {
  const running = uppy.getFiles().filter((file) => isUnderWay(file) && !file.isPaused);
  const bytes = running.reduce((sum, { progress }) => sum + (progress.bytesTotal ?? 0) - (progress.bytesUploaded || 0), 0);
  return rate.seconds(bytes, performance.now());
}

let quarter = 0;

uppy.on("upload", (_id, files) => {
  quarter = 0;
  announce(files.length === 1 ? `Uploading ${files[0]?.name}.` : `Uploading ${files.length} files.`);
});
uppy.on("progress", (percent) => {
  const passed = Math.floor(percent / 25);
  if (passed > quarter && passed < 4) announce(`${passed * 25} percent uploaded.`);
  quarter = Math.max(quarter, passed);
});
uppy.on("upload-success", (file) => {
  if (file) announce(`${file.name} is uploaded.`);
  tell("files");
});
uppy.on("upload-error", (file, error) => {
  announce(`${file?.name}: ${sentence(error)}`, "assertive");
  if (error instanceof UploadError && error.code === "unauthorized") tell("signed-out");
  tell("files");
});

// Uppy shows an error instead of what still runs, and drops it when other files start: then it would show
// "Uploading" for ever. So the error is set only while nothing runs, and as long as a file has one.
function tellFailure(): void {
  const error = (!underWay() && uppy.getFiles().find((file) => file.error)?.error) || null;
  if (uppy.getState().error !== error) uppy.setState({ error });
}
for (const event of ["upload-error", "complete", "file-removed"] as const) uppy.on(event, tellFailure);
uppy.on("file-removed", () => tell("files"));
