/**
 * Many files as one task: queued, sent several at once, and reported as totals.
 *
 * No step walks all files: totals are kept up to date, and events come at most four times a second. An
 * `Upload` exists only while its file is being sent. Small files go by one request each; so a thousand
 * of them need no thousand connections. A file that fails does not stop the others.
 */

import { UploadError } from "../protocol/errors.js";
import { Earlier } from "./earlier.js";
import { Emitter } from "./emitter.js";
import { apiOf, type UploadOptions } from "./options.js";
import { Upload } from "./upload.js";

/** Files of at most so many bytes go by one request. */
export const SMALL = 1024 * 1024;
/** Browsers open six connections to a server: one is left to the page. */
const SMALL_AT_ONCE = 5;
const LARGE_AT_ONCE = 3;
/** Milliseconds between two reports. */
const STEP = 250;

/** The options of every upload of the batch. */
export type BatchOptions = Omit<
  UploadOptions,
  "name" | "type" | "directory" | "fingerprint" | "id" | "sha256"
>;

/** One file. Its directory is part of what is stored, like its name. */
export interface BatchFile {
  readonly file: File;
  readonly directory?: string | undefined;
  /** One of the server's kinds of files. Default: the one of the batch. */
  readonly kind?: string | undefined;
}

export interface BatchFailure extends BatchFile {
  readonly error: UploadError;
}

/** `done` includes `skipped`: files that the server already had. Sizes are in bytes. */
export interface BatchTotals {
  readonly files: number;
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly size: number;
  readonly stored: number;
}

/** `running`: also when everything is done, since files may be added. */
export type BatchState = "running" | "paused" | "cancelled";

export interface BatchEvents {
  /** The totals or the state changed. */
  change: Batch;
  failure: BatchFailure;
  /** The connection was lost; the uploads try again. */
  stalled: UploadError;
}

type Lane = "small" | "large";

export class Batch {
  state: BatchState = "running";
  /** The files that failed, in the order of their failure. */
  failures: BatchFailure[] = [];
  private counts = { files: 0, done: 0, skipped: 0, failed: 0, size: 0, stored: 0 };
  private readonly queues: Record<Lane, BatchFile[]> = { small: [], large: [] };
  private readonly active: Record<Lane, number> = { small: 0, large: 0 };
  private readonly uploads = new Set<Upload>();
  private readonly events = new Emitter<BatchEvents>();
  private readonly over = new AbortController();
  private earlier: Earlier;
  private reporting: ReturnType<typeof setTimeout> | undefined;
  private idle: Array<() => void> = [];

  constructor(private readonly options: BatchOptions = {}) {
    this.earlier = new Earlier(apiOf(options));
  }

  /** Call `callback` at each event. Returns a function that stops this. */
  on<K extends keyof BatchEvents>(
    event: K,
    callback: (value: BatchEvents[K]) => void,
  ): () => void {
    return this.events.on(event, callback);
  }

  get totals(): BatchTotals {
    return { ...this.counts };
  }

  /** Whether files are being sent or wait for it. */
  get underWay(): boolean {
    const { files, done, failed } = this.counts;
    return this.state !== "cancelled" && done + failed < files;
  }

  /** The ids of the uploads that are being sent in pieces. */
  get ids(): string[] {
    return [...this.uploads].flatMap(({ id }) => id ?? []);
  }

  /** Queue files. They are sent at once, unless the batch is paused. */
  add(files: Iterable<BatchFile>): void {
    if (this.state === "cancelled") throw new TypeError("The batch is cancelled.");
    if (!this.underWay) this.earlier = new Earlier(apiOf(this.options));
    for (const { file, directory, kind = this.options.kind } of files) {
      const each = { file, directory, kind };
      this.counts.files += 1;
      this.counts.size += each.file.size;
      this.queueOf(each).push(each);
    }
    this.pump();
    this.changed();
  }

  /** Resolves when every file is done or failed, or the batch is cancelled. */
  async settled(): Promise<BatchTotals> {
    if (this.underWay) await new Promise<void>((resolve) => this.idle.push(resolve));
    return this.totals;
  }

  /** Begin no more files, and pause the large ones. Small files in flight are completed. */
  pause(): void {
    if (this.state !== "running") return;
    this.state = "paused";
    for (const upload of this.uploads) if ((upload.size ?? 0) > SMALL) upload.pause();
    this.changed();
  }

  resume(): void {
    if (this.state !== "paused") return;
    this.state = "running";
    for (const upload of this.uploads) upload.resume();
    this.pump();
    this.changed();
  }

  /** Stop. What is not finished is deleted on the server; finished files stay there. */
  async cancel(): Promise<void> {
    this.state = "cancelled";
    this.queues.small.length = this.queues.large.length = 0;
    this.over.abort();
    this.changed();
    await Promise.allSettled([...this.uploads].map((upload) => upload.cancel()));
    this.finishedAll();
  }

  /** Send the files again that failed. */
  retry(): void {
    const again = this.failures;
    this.failures = [];
    this.counts.failed -= again.length;
    for (const each of again) this.queueOf(each).push(each);
    this.pump();
    this.changed();
  }

  private queueOf({ file }: BatchFile): BatchFile[] {
    return this.queues[file.size <= SMALL ? "small" : "large"];
  }

  private pump(): void {
    for (const [lane, most] of [["small", SMALL_AT_ONCE], ["large", LARGE_AT_ONCE]] as const) {
      while (this.state === "running" && this.active[lane] < most) {
        const next = this.queues[lane].shift();
        if (next === undefined) break;
        void this.run(next, lane);
      }
    }
    if (!this.underWay) this.finishedAll();
  }

  private async run(each: BatchFile, lane: Lane): Promise<void> {
    this.active[lane] += 1;
    let reported = 0;
    const report = (stored: number): void => {
      this.counts.stored += stored - reported;
      reported = stored;
      this.changed();
    };
    try {
      if (await this.isThere(each)) this.counts.skipped += 1;
      else await this.send(each, report);
      report(each.file.size);
      this.counts.done += 1;
    } catch (error) {
      report(0);
      if (this.state !== "cancelled") this.failed({ ...each, error: asError(error) });
    } finally {
      this.active[lane] -= 1;
      this.changed();
      this.pump();
    }
  }

  /** A list that cannot be had does not stop the file: it is sent. */
  private async isThere(each: BatchFile): Promise<boolean> {
    return this.earlier.has(each, this.over.signal).catch(() => false);
  }

  private async send({ file, directory, kind }: BatchFile, report: (stored: number) => void): Promise<void> {
    if (this.state === "cancelled") throw new UploadError("cancelled");
    const upload = new Upload(file, { small: SMALL, ...this.options, directory, kind });
    upload.on("progress", ({ stored }) => report(stored));
    upload.on("state", (state) => {
      const waits = state === "offline" || state === "connecting";
      if (waits && upload.lastError !== null) this.events.emit("stalled", upload.lastError);
    });
    this.uploads.add(upload);
    try {
      const ended = upload.start();
      if (this.state === "paused" && file.size > SMALL) upload.pause();
      await ended;
    } finally {
      this.uploads.delete(upload);
    }
  }

  private failed(failure: BatchFailure): void {
    this.counts.failed += 1;
    this.failures.push(failure);
    // Without a valid credential every other file would fail, too.
    if (failure.error.code === "unauthorized") this.pause();
    this.events.emit("failure", failure);
    this.changed();
  }

  private finishedAll(): void {
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private changed(): void {
    this.reporting ??= setTimeout(() => {
      this.reporting = undefined;
      this.events.emit("change", this);
    }, STEP);
  }
}

function asError(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  return new UploadError("internal", { detail: String(error) }, { cause: error });
}
