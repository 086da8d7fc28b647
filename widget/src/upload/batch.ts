/**
 * Many files as one task: queued, sent several at once, and reported one by one and as totals.
 *
 * No step walks all files: totals are kept up to date, and events come at most four times a second. An
 * `Upload` exists only while its file is being sent. Small files go by one request each, and tiny ones many
 * together; so a thousand of them need no thousand connections. A file that fails does not stop the others.
 */

import { UploadError } from "../protocol/errors.js";
import type { Api } from "../transport/http.js";
import { SmallFile } from "../transport/small-file.js";
import { Tus } from "../transport/tus.js";
import { type BatchFile, type BatchItem, type Choice, Entry, type Existing, type Lane } from "./batch-item.js";
import { Earlier } from "./earlier.js";
import { Emitter } from "./emitter.js";
import { apiOf, timingOf, type UploadOptions } from "./options.js";
import { SmallFiles, SMALL_REQUESTS, TINY } from "./small-files.js";
import { take } from "./together.js";
import { Upload } from "./upload.js";

export type { BatchFile, BatchItem, BatchItemState, Choice, Existing } from "./batch-item.js";

/** Files of at most so many bytes go by one request. */
export const SMALL = 1024 * 1024;
/** Browsers open six connections to a server: one is left to the page. */
const SMALL_AT_ONCE = 5;
const LARGE_AT_ONCE = 3;
/** Some are being sent together, and the next ones are looked up and read meanwhile. */
const TINY_AT_ONCE = 384;
/** Milliseconds between two reports. */
const STEP = 250;

/** The options of every upload of the batch, and what becomes of files whose name is taken. */
export interface BatchOptions
  extends Omit<UploadOptions, "name" | "type" | "directory" | "fingerprint" | "id" | "sha256" | "replaces"> {
  /** Asked when the server has other bytes under the same name. Default: both are kept. */
  readonly exists?: ((item: BatchItem, there: Existing) => Promise<Choice>) | undefined;
}

/** A file that is on the server. `skipped`: it was there already, and nothing was sent. */
export interface BatchDone extends BatchFile {
  readonly id: string;
  /** The absolute address of its bytes. */
  readonly url: string;
  readonly skipped: boolean;
}

export interface BatchFailure extends BatchItem {
  readonly error: UploadError;
}

/** `done` includes `skipped`: files that the server had, and those not wanted. Sizes are in bytes. */
export interface BatchTotals {
  readonly files: number;
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly size: number;
  readonly stored: number;
  /** What this batch sent of `stored`: without what an earlier run had sent. */
  readonly sent: number;
}

/** `running`: also when everything is done, since files may be added. */
export type BatchState = "running" | "paused" | "cancelled";

export interface BatchEvents {
  /** The totals, an item or the state changed. */
  change: Batch;
  done: BatchDone;
  failure: BatchFailure;
  /** The connection was lost; the uploads try again. */
  stalled: UploadError;
}

export class Batch {
  state: BatchState = "running";
  private counts = { files: 0, done: 0, skipped: 0, failed: 0, size: 0, stored: 0, sent: 0 };
  private readonly queues: Record<Lane, Entry[]> = { tiny: [], small: [], large: [] };
  private readonly active: Record<Lane, number> = { tiny: 0, small: 0, large: 0 };
  /** Those between the queue and their end. */
  private readonly begun = new Set<Entry>();
  private readonly over: Entry[] = [];
  private readonly failed: Entry[] = [];
  private readonly events = new Emitter<BatchEvents>();
  private readonly end = new AbortController();
  private readonly api: Api;
  /** Those that go together. */
  private readonly company: SmallFiles;
  /** Resolves when it can be seen what the server has. */
  private readonly ready: Promise<void>;
  private earlier: Earlier;
  private reporting: ReturnType<typeof setTimeout> | undefined;
  private idle: Array<() => void> = [];

  constructor(private readonly options: BatchOptions = {}) {
    this.api = apiOf(options);
    this.earlier = new Earlier(this.api);
    this.company = new SmallFiles(this.api, () => this.pause());
    this.ready = this.company.before(timingOf(options).sleep, this.end.signal);
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
    return [...this.begun].flatMap(({ upload }) => upload?.id ?? []);
  }

  /** The files that failed, in the order of their failure. */
  get failures(): BatchFailure[] {
    return this.failed as BatchFailure[];
  }

  /** The files that are being sent, or are paused, or asked about. */
  get running(): BatchItem[] {
    return [...this.begun];
  }

  /** The number of all files but those that failed. */
  get length(): number {
    return this.counts.files - this.counts.failed;
  }

  /** One of these: first those of `running`, then the ones that wait, then the last that was done. */
  at(index: number): BatchItem | undefined {
    let left = index;
    for (const entry of index < this.begun.size ? this.begun : []) if (left-- === 0) return entry;
    left -= this.begun.size;
    for (const queue of [this.queues.large, this.queues.small, this.queues.tiny]) {
      if (left < queue.length) return queue[left];
      left -= queue.length;
    }
    return this.over[this.over.length - 1 - left];
  }

  /** Queue files. They are sent at once, unless the batch is paused. */
  add(files: Iterable<BatchFile>): void {
    if (this.state === "cancelled") throw new TypeError("The batch is cancelled.");
    if (!this.underWay) this.earlier = new Earlier(this.api);
    for (const { file, directory, kind = this.options.kind } of files) {
      const entry = new Entry(file, directory, kind);
      this.counts.files += 1;
      this.counts.size += file.size;
      this.enqueue(entry);
    }
    this.pump();
    this.changed();
  }

  /** Resolves when every file is done or failed, or the batch is cancelled. */
  async settled(): Promise<BatchTotals> {
    if (this.underWay) await new Promise<void>((resolve) => this.idle.push(resolve));
    return this.totals;
  }

  /**
   * Begin no more files, and pause the large ones. Small files in flight are completed.
   * With an item: pause that file, and let others take its place.
   */
  pause(item?: BatchItem): void {
    if (item !== undefined) return this.pauseOne(item as Entry);
    if (this.state !== "running") return;
    this.state = "paused";
    this.company.hold();
    for (const { upload } of this.begun) if ((upload?.size ?? 0) > SMALL) upload?.pause();
    this.changed();
  }

  /** Go on, with the files that were paused one by one, too; or with one of them. */
  resume(item?: BatchItem): void {
    if (item !== undefined) return this.resumeOne(item as Entry);
    this.state = this.state === "paused" ? "running" : this.state;
    if (this.state === "running") this.company.release();
    for (const entry of this.begun) {
      if (entry.state === "paused") this.resumeOne(entry);
      else entry.upload?.resume();
    }
    this.pump();
    this.changed();
  }

  /**
   * Stop. What is not finished is deleted on the server; finished files stay there.
   * With an item: take that file out of the batch.
   */
  async cancel(item?: BatchItem): Promise<void> {
    if (item !== undefined) return this.cancelOne(item as Entry);
    this.state = "cancelled";
    for (const queue of Object.values(this.queues)) queue.length = 0;
    this.end.abort();
    this.changed();
    await Promise.allSettled([...this.begun].map(({ upload }) => upload?.cancel()));
    this.finishedAll();
  }

  /**
   * Send the files again that failed, or one of them. A file that was `there` or skipped is uploaded
   * beside the one that the server has.
   */
  retry(item?: BatchItem): void {
    if (this.state === "cancelled") return;
    for (const entry of item === undefined ? [...this.failed] : [item as Entry]) this.again(entry);
    this.pump();
    this.changed();
  }

  private again(entry: Entry): void {
    if (!entry.over || entry.state === "done" || entry.removed) return;
    if (entry.state === "failed") {
      take(this.failed, entry);
      this.counts.failed -= 1;
    } else {
      take(this.over, entry);
      this.counts.done -= 1;
      this.counts.skipped -= 1;
      this.counts.stored -= entry.stored;
      entry.anyway = true;
    }
    Object.assign(entry, { state: "waiting", stored: 0, error: null, looked: false, replaces: undefined });
    this.enqueue(entry);
  }

  private pauseOne(entry: Entry): void {
    if (entry.state !== "sending" && entry.state !== "waiting") return;
    if (entry.state === "waiting") take(this.queueOf(entry), entry);
    else this.active[entry.lane] -= 1;
    this.begun.add(entry);
    entry.state = "paused";
    entry.upload?.pause();
    this.pump();
    this.changed();
  }

  private resumeOne(entry: Entry): void {
    if (entry.state !== "paused") return;
    if (!entry.begun) {
      this.begun.delete(entry);
      entry.state = "waiting";
      this.queueOf(entry).unshift(entry);
    } else {
      this.active[entry.lane] += 1;
      entry.state = "sending";
      if (this.state === "running") entry.upload?.resume();
    }
    this.pump();
    this.changed();
  }

  private async cancelOne(entry: Entry): Promise<void> {
    if (entry.removed) return;
    entry.removed = true;
    take(this.queueOf(entry), entry);
    take(this.over, entry);
    if (take(this.failed, entry)) this.counts.failed -= 1;
    if (entry.state === "paused" && entry.begun) this.active[entry.lane] += 1;
    if (entry.over && entry.state !== "failed") this.counts.done -= 1;
    if (entry.state === "there" || entry.state === "skipped") this.counts.skipped -= 1;
    this.begun.delete(entry);
    this.counts.files -= 1;
    this.counts.size -= entry.file.size;
    this.counts.stored -= entry.stored;
    entry.stored = 0;
    this.pump();
    this.changed();
    await entry.upload?.cancel();
  }

  private queueOf(entry: Entry): Entry[] {
    return this.queues[entry.lane];
  }

  private enqueue(entry: Entry): void {
    entry.lane = this.laneOf(entry);
    this.queueOf(entry).push(entry);
  }

  private laneOf(entry: Entry): Lane {
    if (entry.file.size > SMALL) return "large";
    return this.goesTogether(entry) ? "tiny" : "small";
  }

  /** Whether the file can go together with others, as far as is known. */
  private goesTogether({ file, directory, kind, replaces }: Entry): boolean {
    const { transport = "auto", small = SMALL, tags } = this.options;
    if (transport !== "auto" || replaces !== undefined || !this.company.takesSeveral) return false;
    // A grant's token is for one upload, and a server of another make has no such request.
    if (this.api.credential.isGrant || Tus.known(this.api) !== undefined) return false;
    const request = { name: file.name, mime_type: file.type, directory, kind, tags };
    return SmallFile.fits(file.size, request, Math.min(small, TINY));
  }

  private pump(): void {
    for (const lane of ["tiny", "small", "large"] as const) {
      while (this.state === "running" && this.active[lane] < this.atOnce(lane)) {
        const next = this.queues[lane].shift();
        if (next === undefined) break;
        void this.run(next, lane);
      }
    }
    if (!this.underWay) this.finishedAll();
  }

  private atOnce(lane: Lane): number {
    if (lane === "large") return LARGE_AT_ONCE;
    if (lane === "tiny") return TINY_AT_ONCE;
    return this.active.tiny > 0 ? SMALL_AT_ONCE - SMALL_REQUESTS : SMALL_AT_ONCE;
  }

  private async run(entry: Entry, lane: Lane): Promise<void> {
    this.active[lane] += 1;
    this.begun.add(entry);
    entry.begun = true;
    entry.state = "sending";
    try {
      const end = await this.bring(entry);
      if (end === "alone") this.goAlone(entry);
      else this.ended(entry, end);
    } catch (error) {
      if (this.state !== "cancelled" && !entry.removed) this.fail(entry, asError(error));
    } finally {
      this.active[lane] -= 1;
      entry.begun = false;
      if (entry.lane === lane) this.begun.delete(entry);
      this.changed();
      this.pump();
    }
  }

  /** The file needs a request of its own after all, and waits for that. */
  private goAlone(entry: Entry): void {
    const { lane, state } = entry;
    entry.lane = "small";
    if (state === "paused") {
      this.active[lane] += 1; // a paused one is not counted
      return;
    }
    this.begun.delete(entry);
    if (this.state === "cancelled" || entry.removed) return;
    entry.state = "waiting";
    this.queueOf(entry).push(entry);
  }

  /** What became of the file, unless it failed. `alone`: it cannot go together with others. */
  private async bring(entry: Entry): Promise<"done" | "there" | "skipped" | "alone"> {
    if (entry.lane === "tiny") {
      await this.api.credential.get().catch(() => undefined); // whoever sends the file reports this
      if (!this.goesTogether(entry)) return "alone";
    }
    await this.ready;
    // A list that cannot be had does not stop the file: it is sent.
    const found = entry.looked || entry.anyway || Tus.known(this.api) !== undefined // such a server lists no files
      ? { same: undefined, other: undefined }
      : await this.earlier.find(entry, this.counts.files, this.end.signal).catch(() => undefined);
    if (found?.same !== undefined) {
      Object.assign(entry, { id: found.same, url: this.api.absolute(`/v1/files/${found.same}`) });
      return "there";
    }
    if (found?.other !== undefined && this.options.exists !== undefined) {
      entry.state = "asking";
      this.changed();
      const choice = await this.options.exists(entry, found.other);
      if (choice === "skip") return "skipped";
      if (choice === "replace") entry.replaces = found.other.id;
      entry.looked = true;
      entry.state = "sending";
    }
    // What is known by now may differ: the first answer tells what server it is.
    if (entry.lane === "tiny" && !this.goesTogether(entry)) return "alone";
    await this.send(entry);
    return "done";
  }

  private async send(entry: Entry): Promise<void> {
    if (this.state === "cancelled" || entry.removed) throw new UploadError("cancelled");
    const { file, directory, kind, replaces } = entry;
    const { exists: _exists, ...options } = this.options;
    const company = entry.lane === "tiny" ? this.company : undefined;
    const upload = new Upload(file, { small: SMALL, ...options, directory, kind, replaces }, company);
    upload.on("opened", ({ id, stored }) => {
      entry.id = id;
      this.report(entry, stored);
    });
    upload.on("progress", ({ stored }) => this.report(entry, stored, true));
    upload.on("state", (state) => {
      const waits = state === "offline" || state === "connecting";
      if (waits && upload.lastError !== null) this.events.emit("stalled", upload.lastError);
      if (state === "verifying") entry.state = "verifying";
      else if (entry.state === "verifying") entry.state = "sending";
    });
    entry.upload = upload;
    try {
      const ended = upload.start();
      if (entry.state === "paused" || (this.state === "paused" && file.size > SMALL)) upload.pause();
      const { id, url } = await ended;
      Object.assign(entry, { id, url });
    } finally {
      entry.upload = undefined;
    }
  }

  private report(entry: Entry, stored: number, sent = false): void {
    if (entry.removed) return;
    if (sent && stored > entry.stored) {
      this.counts.sent += stored - entry.stored;
      entry.sent += stored - entry.stored;
    }
    this.counts.stored += stored - entry.stored;
    entry.stored = stored;
    this.changed();
  }

  private ended(entry: Entry, state: "done" | "there" | "skipped"): void {
    if (entry.removed) return;
    entry.state = state;
    this.report(entry, entry.file.size);
    this.counts.done += 1;
    if (state !== "done") this.counts.skipped += 1;
    this.over.push(entry);
    const { file, directory, kind, id, url } = entry;
    if (state === "skipped" || id === null || url === null) return;
    this.events.emit("done", { file, directory, kind, id, url, skipped: state === "there" });
  }

  private fail(entry: Entry, error: UploadError): void {
    this.report(entry, 0);
    Object.assign(entry, { state: "failed", error });
    this.counts.failed += 1;
    this.failed.push(entry);
    // Without a valid credential every other file would fail, too.
    if (error.code === "unauthorized") this.pause();
    this.events.emit("failure", entry as BatchFailure);
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
