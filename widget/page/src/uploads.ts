/** The uploads of this tab: what is queued, what failed, and what screen readers hear about them. */

import { UploadError } from "../../src/protocol/errors.js";
import { Batch, type BatchFile, type BatchItem, type Choice, type Existing } from "../../src/upload/batch.js";
import { Emitter } from "../../src/upload/emitter.js";
import { uploadToken } from "./account.js";
import { home } from "./api.js";
import type { Dropped } from "./drop.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { Rate } from "./rate.js";
import { percent, sentence } from "./words.js";

/** A file that is not uploaded, and why. */
export interface Failure {
  key: string;
  name: string;
  text: string;
  /** Missing for what never became an upload. */
  item?: BatchItem;
}

interface Events {
  /** Something changed; there may be no batch. */
  change: Batch | null;
  /** Somebody is to decide about a file whose name is taken. */
  question: Question;
  stalled: undefined;
}

export interface Question {
  item: BatchItem;
  there: Existing;
  /** `forAll`: the files that come later get the same answer. */
  answer: (choice: Choice, forAll: boolean) => void;
}

const ALREADY = "This file is already being uploaded. Wait until it is done.";

export const events = new Emitter<Events>();

let batch: Batch | null = null;
/** Where the files of the batch are, so that none is added twice. */
let known = new Map<string, BatchItem | null>();
let refused: Failure[] = [];
let kind: string | undefined;
let rate = new Rate();
let forAll: Choice | null = null;
let asking: Promise<unknown> = Promise.resolve();

export const current = () => batch;
export const underWay = () => batch?.underWay ?? false;
export const uploadIds = () => batch?.ids ?? [];

/** From now on files are of this kind, also those that failed and are tried again. */
export function chooseKind(name: string | undefined): void {
  kind = name;
}

/** Upload files into a directory. Files of a folder keep their place in it. */
export function upload(files: Iterable<File | Dropped>, directory: string): void {
  const wanted: BatchFile[] = [];
  if (batch === null || !batch.underWay) begin();
  for (const file of files) {
    const path = pathOf(file);
    const each = { file, directory: joined(directory, path.split("/").slice(0, -1).join("/")), kind };
    const key = keyOf(each);
    forgetFailures(each);
    if (known.has(key)) refuse(path, ALREADY, key);
    else wanted.push(each);
    known.set(key, null);
  }
  if (wanted.length === 0) return changed();
  announce(wanted.length === 1 ? `Uploading ${wanted[0]?.file.name}.` : `Uploading ${count(wanted.length)}.`);
  batch?.add(wanted);
  changed();
}

export const count = (files: number) => `${files.toLocaleString("en")} ${files === 1 ? "file" : "files"}`;
export const joined = (...parts: string[]) => parts.filter((part) => part !== "").join("/");

/** The path of a file below the chosen or dropped folder. */
function pathOf(file: File | Dropped): string {
  const dropped = "relativePath" in file ? file.relativePath : null;
  return dropped || file.webkitRelativePath || file.name;
}

const keyOf = ({ file, directory }: BatchFile) => `${directory}/${file.name} ${file.size} ${file.lastModified}`;

function begin(): void {
  const failed = failures();
  const begun = new Batch({ url: home.href, token: uploadToken(), digest: true, exists: ask });
  let done = 0;
  let quarter = 0;
  [batch, known, rate, forAll] = [begun, new Map(), new Rate(), null];
  refused = failed;
  begun.on("change", (now) => {
    if (now !== batch) return;
    const { totals } = now;
    if (totals.done > done) tell("files");
    done = totals.done;
    rate.sent(totals.sent, performance.now());
    if (!now.underWay) known.clear();
    quarter = speak(now, quarter);
    changed();
  });
  begun.on("stalled", () => events.emit("stalled", undefined));
  begun.on("failure", (item) => {
    announce(`${item.file.name}: ${sentence(item.error)}`, "assertive");
    known.delete(keyOf(item));
    if (item.error.code === "unauthorized") tell("signed-out");
    tell("files");
  });
}

/** Screen readers hear each quarter and the end. Returns the last quarter that was told. */
function speak({ totals, underWay, state, length }: Batch, quarter: number): number {
  const { size, stored, files, done, failed } = totals;
  if (state === "cancelled" || files === 0) return quarter;
  const part = size > 0 ? stored / size : done / files;
  const passed = underWay ? Math.min(3, Math.floor(part * 4)) : 4;
  if (passed <= quarter) return underWay ? quarter : 0;
  if (passed < 4) announce(`${passed * 25} percent uploaded.`);
  else if (failed === 0) announce(length === 1 ? `${batch?.at(0)?.file.name} is uploaded.` : `${count(done)} uploaded.`);
  return passed === 4 ? 0 : passed;
}

/** One question after the other. */
function ask(item: BatchItem, there: Existing): Promise<Choice> {
  const asked = asking.then(
    () =>
      forAll ??
      new Promise<Choice>((resolve) => {
        const answer = (choice: Choice, all: boolean) => {
          if (all) forAll = choice;
          resolve(choice);
        };
        if (batch?.state === "cancelled") resolve("skip");
        else events.emit("question", { item, there, answer });
      }),
  );
  asking = asked;
  return asked;
}

function changed(): void {
  events.emit("change", batch);
  if (underWay()) void keepAwake();
  else letSleep();
  document.title = titleOfTab();
}

function titleOfTab(): string {
  if (batch === null || !batch.underWay) return "Lading";
  const { size, stored, done, files } = batch.totals;
  return `${batch.state === "paused" ? "Paused, " : ""}${percent(size > 0 ? stored : done, size > 0 ? size : files)} % · Lading`;
}

// -- what failed

/** What failed in this batch and before, until it is tried again or dismissed. */
export function failures(): Failure[] {
  const failed = (batch?.failures ?? []).map((item) => ({
    key: `${keyOf(item)} failed`,
    name: joined(item.directory ?? "", item.file.name),
    text: sentence(item.error),
    item,
  }));
  return [...refused, ...failed];
}

/** What of a dropped folder could not be read. */
export function refuse(name: string, text: string, key = name): void {
  refused = [...refused.filter((each) => each.key !== key), { key, name, text }];
  events.emit("change", batch);
}

/** A file that is chosen again replaces a failed one of the same name, even if it changed. */
function forgetFailures({ file, directory }: BatchFile): void {
  const name = joined(directory ?? "", file.name);
  for (const failure of failures()) if (failure.name === name) dismiss(failure);
}

export function dismiss(failure: Failure): void {
  refused = refused.filter(({ key }) => key !== failure.key);
  if (batch?.failures.some((item) => item === failure.item)) void batch.cancel(failure.item);
  changed();
}

/** Send them again, as files of the kind that is chosen now. */
export function tryAgain(wanted: Failure[]): void {
  const again = wanted.flatMap(({ item }) => item ?? []);
  const here = batch !== null && batch.state !== "cancelled" && batch.failures.some((item) => again.some((each) => each === item));
  for (const failure of wanted) dismiss(failure);
  if (!here && !underWay()) begin();
  batch?.add(again.map(({ file, directory }) => ({ file, directory, kind })));
  changed();
}

// -- pausing and leaving

/** Stop showing the batch. */
export function close(): void {
  refused = failures();
  batch = null;
  changed();
}

/** Pause the batch if it runs. Returns a function that resumes it. */
export function pauseRunning(): () => void {
  const running = batch?.state === "running" && batch.underWay ? batch : null;
  running?.pause();
  changed();
  return () => {
    running?.resume();
    changed();
  };
}

/** Seconds until everything is uploaded; null while unknown. */
export function secondsLeft(): number | null {
  if (batch === null || batch.state !== "running") return null;
  return rate.seconds(batch.totals.size - batch.totals.stored, performance.now());
}

/** Bytes a second, of late; null while unknown. */
export const bytesPerSecond = () => rate.perSecond(performance.now());

/** A pause, or a lost connection, is not part of the rate. */
export const forgetRate = () => rate.paused();

let leaving = false;

/** Leave the page without another question. */
export function leaveUnasked(): void {
  leaving = true;
}

window.addEventListener("beforeunload", (event) => {
  if (underWay() && !leaving) event.preventDefault();
});

// -- the device stays awake

let lock: WakeLockSentinel | null = null;
let locking = false;

async function keepAwake(): Promise<void> {
  if (lock !== null || locking || document.hidden || !("wakeLock" in navigator)) return;
  locking = true;
  try {
    lock = await navigator.wakeLock.request("screen");
    lock.addEventListener("release", () => (lock = null));
    if (!underWay()) letSleep();
  } catch {
    // The device saves power, or the page may not.
  }
  locking = false;
}

function letSleep(): void {
  void lock?.release();
  lock = null;
}

document.addEventListener("visibilitychange", () => underWay() && void keepAwake());

/** Whether the error is one of the quota, which the user can do something about here. */
export const isOfQuota = (error: unknown): error is UploadError =>
  error instanceof UploadError && error.code === "quota-exceeded";
