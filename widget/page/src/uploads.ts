/**
 * The uploads of this tab: Uppy with the Lading plugin, and what is said of their course.
 * Owns the one Uppy. Refuses to know how it is shown.
 */

import Uppy, { type Meta, type UppyFile } from "@uppy/core";
import { Emitter } from "../../src/upload/emitter.js";
import { UploadError } from "../../src/protocol/errors.js";
import Lading from "../../src/uppy.js";
import { home } from "./api.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { Pace } from "./rate.js";
import { sentence } from "./words.js";

type Body = Record<string, unknown>;

/** Bytes up to which an upload is aborted without a question: they are soon sent again. */
const LITTLE = 1_000_000;

/** What the server has of uploads that someone is about to abort. */
export interface Loss {
  names: string[];
  bytes: number;
  abort: () => void;
}

/** Who hears of a loss asks, and calls its `abort` or does not. */
export const losses = new Emitter<{ loss: Loss }>();

/** Uppy, whose buttons delete at once, with a question before. */
class Asking extends Uppy<Meta, Body> {
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

export const uppy = new Asking({
  autoProceed: true,
  // A file that is done or failed may be chosen again; one that is under way may not.
  onBeforeFileAdded: (file, files) => {
    const same = files[file.id];
    return same === undefined || same.progress.uploadComplete === true || Boolean(same.error);
  },
});
uppy.setOptions({
  locale: {
    strings: { noDuplicates: "This file is being uploaded already; wait until it is done." },
    pluralize: uppy.locale.pluralize,
  },
});
uppy.use(Lading<Meta, Body>, { url: home.href });

/** The id that the server knows a file's upload by; undefined until it gave one. */
export function serverId(file: object): string | undefined {
  return (file as { lading?: { id: string } }).lading?.id;
}

/** Whether leaving the page would break off an upload. */
export const underWay = () => uppy.getFiles().some(isUnderWay);

export function isUnderWay({ progress, error }: UppyFile<Meta, Body>): boolean {
  return Boolean(progress.uploadStarted) && !progress.uploadComplete && !error;
}

let leaving = false;

/** From now on leaving the page is not asked about: it was. */
export function leaveUnasked(): void {
  leaving = true;
}

window.addEventListener("beforeunload", (event) => {
  if (underWay() && !leaving) event.preventDefault();
});

/** Pause what runs; gives how to let that, and nothing else, go on again. */
export function pauseRunning(): () => void {
  const running = uppy.getFiles().filter((file) => isUnderWay(file) && !file.isPaused);
  const toggle = () => {
    for (const { id } of running) if (uppy.getFile(id)) uppy.pauseResume(id);
  };
  toggle();
  return toggle;
}

// Chosen again, a file takes the place of what failed under its name, also when it changed since.
uppy.on("file-added", (file) => {
  for (const { id, name, error } of uppy.getFiles()) {
    if (id !== file.id && name === file.name && error) uppy.removeFile(id);
  }
});

const pace = new Pace();

uppy.on("upload", (_id, files) => files.forEach(({ id }) => pace.begin(id)));
uppy.on("upload-progress", (file, { bytesUploaded }) => {
  if (file) pace.heard(file.id, bytesUploaded || 0, performance.now());
});
for (const event of ["upload-pause", "pause-all", "resume-all"] as const) uppy.on(event, () => pace.paused());

/** Seconds until everything under way is there; null while nobody knows. */
export function secondsLeft(): number | null {
  const running = uppy.getFiles().filter((file) => isUnderWay(file) && !file.isPaused);
  const bytes = running.reduce((sum, { progress }) => sum + (progress.bytesTotal ?? 0) - (progress.bytesUploaded || 0), 0);
  return pace.seconds(bytes, performance.now());
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

// Uppy shows a failure in place of what still runs, and forgets it when other files begin: then it would say
// "Uploading" for ever. So it has one while nothing runs, and as long as a file has one.
function tellFailure(): void {
  const error = (!underWay() && uppy.getFiles().find((file) => file.error)?.error) || null;
  if (uppy.getState().error !== error) uppy.setState({ error });
}
for (const event of ["upload-error", "complete", "file-removed"] as const) uppy.on(event, tellFailure);
uppy.on("file-removed", () => tell("files"));
