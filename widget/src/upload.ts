/**
 * One upload as its caller sees it: started, paused, resumed, cancelled, and told of.
 *
 * Owns the state, the events, and when an attempt begins and ends. Refuses to know how the bytes
 * travel (`transfer.ts`, `http-transfer.ts`) and what a failure means (`attempts.ts`).
 */

import { Attempts } from "./attempts.js";
import type { Timing } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { Again, networkError, UploadError } from "./errors.js";
import type { CompleteFile, OpenedUpload } from "./messages.js";
import type { Network } from "./network.js";
import {
  apiOf,
  nameOf,
  networkOf,
  requestOf,
  timingOf,
  type UploadOptions,
  waysOf,
} from "./options.js";
import { openSource, type Source, type Uploadable } from "./source.js";

export type UploadState =
  | "idle"
  | "connecting"
  | "uploading"
  | "paused"
  | "offline"
  | "verifying"
  | "done"
  | "failed"
  | "cancelled";

/** How far an upload is, in bytes. `size` is null while it is not known. */
export interface Progress {
  /** Bytes that are durable on the server. */
  readonly stored: number;
  readonly size: number | null;
  /** Bytes that the server checked against a digest, after all are stored. */
  readonly verified: number;
}

/** The server took the upload up, for the first time or after an interruption. */
export interface Opened {
  readonly id: string;
  readonly size: number | null;
  readonly stored: number;
  readonly resumedFrom: number;
}

/** The finished file. `url` is absolute. */
export interface Manifest extends CompleteFile {
  readonly name: string;
}

export interface UploadEvents {
  state: UploadState;
  progress: Progress;
  opened: Opened;
  error: UploadError;
}

/** Milliseconds after which an attempt is made although the device says that it is offline. */
const OFFLINE_LOOK = 15_000;

export class Upload {
  /** The upload's id, and later the file's; null until the server gave one. */
  id: string | null = null;
  /** Bytes that are durable on the server. */
  stored = 0;
  /** Bytes of the whole, or null while that is not known. */
  size: number | null;
  state: UploadState = "idle";
  /** What interrupted it last, or ended it; null while nothing did. */
  lastError: UploadError | null = null;
  readonly name: string;
  private readonly events = new Emitter<UploadEvents>();
  private readonly source: Source;
  private readonly attempts: Attempts;
  private readonly timing: Timing;
  private readonly network: Network;
  private running: Promise<Manifest> | undefined;
  private cancelling: Promise<void> | undefined;
  private cancelled = false;
  /** Aborted to end the attempt under way. */
  private attempt = new AbortController();
  /** Aborted to end the waiting under way. */
  private waiting = new AbortController();
  private paused = false;

  constructor(source: Uploadable, options: UploadOptions = {}) {
    this.name = nameOf(source, options);
    this.timing = timingOf(options);
    this.network = networkOf(options);
    this.id = options.id ?? null;
    this.source = openSource(source, this.name);
    this.size = this.source.size;
    this.attempts = new Attempts(
      {
        api: apiOf(options),
        source: this.source,
        request: requestOf(source, this.name, options),
        fingerprint: options.fingerprint,
        id: options.id,
        timing: this.timing,
        ...waysOf(options),
      },
      {
        opened: (upload) => this.opened(upload),
        stored: (total) => this.progressed(total),
        verifying: (done) => this.verifying(done),
      },
    );
  }

  /** Bytes that an earlier start of the same upload had stored. */
  get resumedFrom(): number {
    return this.attempts.resumedFrom;
  }

  /** Hear of an event; gives how to stop that. */
  on<K extends keyof UploadEvents>(
    event: K,
    callback: (value: UploadEvents[K]) => void,
  ): () => void {
    return this.events.on(event, callback);
  }

  /**
   * Begin, or begin again after a failure. Resolves when the server has verified and published the
   * file; rejects with UploadError. More calls while it runs give the same promise.
   */
  start(): Promise<Manifest> {
    if (this.running !== undefined && this.state !== "failed") return this.running;
    if (this.cancelled) return Promise.reject(new UploadError("cancelled"));
    this.running = this.run();
    this.running.catch(() => undefined); // told by the event `error` as well
    return this.running;
  }

  /** Stop sending; what is stored stays on the server. */
  pause(): void {
    if (!this.isUnderWay() || this.paused) return;
    this.paused = true;
    this.enter("paused");
    this.attempt.abort(new Error("paused"));
    this.waiting.abort();
  }

  /** Go on after `pause`, by what the server says is missing. */
  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.enter("connecting");
    this.waiting.abort();
  }

  /**
   * Stop, and delete what the server has. Resolves when that is deleted; rejects with UploadError
   * when it could not be, so that it expires by itself later. Does nothing to a finished upload.
   */
  cancel(): Promise<void> {
    if (this.state === "done") return Promise.resolve();
    this.cancelled = true;
    this.cancelling ??= this.withdraw();
    return this.cancelling;
  }

  // -- the attempts

  private async run(): Promise<Manifest> {
    const forget = this.network.watch(() => this.networkChanged());
    this.lastError = null;
    try {
      for (;;) {
        await this.permitted();
        const file = await this.once();
        if (this.cancelled) throw new UploadError("cancelled");
        if (file !== null) return this.finished(file);
      }
    } catch (error) {
      throw this.failed(error);
    } finally {
      forget();
    }
  }

  /** Returns when nothing stands against an attempt. */
  private async permitted(): Promise<void> {
    while (this.paused && !this.cancelled) {
      this.waiting = new AbortController();
      await aborted(this.waiting.signal);
    }
    if (this.cancelled) throw new UploadError("cancelled");
    this.enter("connecting");
  }

  /** One attempt, and the waiting after it; null when there is to be another. */
  private async once(): Promise<CompleteFile | null> {
    this.attempt = new AbortController();
    try {
      return await this.attempts.attempt(this.attempt.signal);
    } catch (failure) {
      if (this.paused || this.cancelled) return null;
      await this.recover(failure);
      return null;
    }
  }

  private async recover(failure: unknown): Promise<void> {
    this.waiting = new AbortController();
    const error = failure instanceof Again ? failure.error : failure;
    if (error instanceof UploadError) this.lastError = error;
    const lost = this.attempt.signal.aborted || this.lastError?.code === "network";
    if (lost && !this.network.online) {
      this.enter("offline");
      await this.timing.sleep(OFFLINE_LOOK, this.waiting.signal);
      return;
    }
    if (this.attempt.signal.aborted) return; // the network came back meanwhile
    const seconds = await this.attempts.recover(failure);
    if (this.paused || this.cancelled) return;
    this.enter("connecting");
    await this.timing.sleep(seconds * 1000, this.waiting.signal);
  }

  private networkChanged(): void {
    if (this.network.online) this.waiting.abort();
    else this.attempt.abort(networkError("The device is offline."));
  }

  private async withdraw(): Promise<void> {
    const { running } = this;
    this.enter("cancelled");
    const gone = await this.attempts.abort();
    this.attempt.abort(new Error("cancelled"));
    this.waiting.abort();
    await running?.catch(() => undefined);
    this.source.close();
    if (!gone) await this.attempts.remove(new AbortController().signal);
  }

  // -- what is told

  private opened({ id, size, upload_size: stored }: OpenedUpload): void {
    this.id = id;
    this.size = this.source.size ?? size;
    this.enter("uploading");
    this.events.tell("opened", { id, size: this.size, stored, resumedFrom: this.resumedFrom });
    this.progressed(stored);
  }

  private progressed(stored: number, verified = 0): void {
    this.stored = stored;
    this.size ??= this.source.size;
    this.events.tell("progress", { stored, size: this.size, verified });
  }

  private verifying(done: number): void {
    this.enter("verifying");
    this.progressed(this.stored, done);
  }

  private finished(file: CompleteFile): Manifest {
    this.id = file.id;
    this.size = file.size;
    this.paused = false;
    this.source.close();
    this.progressed(file.size, file.size);
    this.lastError = null;
    this.enter("done");
    return { ...file, name: this.name, url: this.attempts.absolute(file.url) };
  }

  private failed(failure: unknown): UploadError {
    if (this.cancelled) return new UploadError("cancelled");
    const error =
      failure instanceof UploadError
        ? failure
        : new UploadError("internal", { detail: String(failure) }, { cause: failure });
    this.lastError = error;
    this.paused = false;
    if (this.source.rereadable) this.source.close();
    this.enter("failed");
    this.events.tell("error", error);
    return error;
  }

  private isUnderWay(): boolean {
    return !["idle", "done", "failed", "cancelled"].includes(this.state);
  }

  private enter(state: UploadState): void {
    if (this.state === state || (this.cancelled && state !== "cancelled")) return;
    // What an interrupted attempt still tells does not end the pause.
    if (this.paused && state !== "paused" && state !== "cancelled") return;
    this.state = state;
    this.events.tell("state", state);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
