/**
 * One upload as its caller sees it: started, paused, resumed, cancelled, and reported by events.
 * What a failure means is decided in `attempts.ts`.
 */

import { networkError, UploadError } from "../protocol/errors.js";
import type { CompleteFile, OpenedUpload } from "../protocol/messages.js";
import { Retry } from "../protocol/retry.js";
import { openSource, type Source, type Uploadable } from "../source/source.js";
import type { Timing } from "../transport/backoff.js";
import type { Network } from "../transport/network.js";
import type { Company } from "../transport/small-file.js";
import { Attempts } from "./attempts.js";
import { Emitter } from "./emitter.js";
import type { Manifest, UploadEvents } from "./events.js";
import {
  apiOf,
  nameOf,
  networkOf,
  requestOf,
  routeOf,
  timingOf,
  type UploadOptions,
} from "./options.js";
import { follows, isUnderWay, type UploadState } from "./state.js";

/** Milliseconds after which an attempt is made although the device says that it is offline. */
const OFFLINE_RETRY = 15_000;

export class Upload {
  /** The upload's id, which is also the file's id; null until the server opened the upload. */
  id: string | null = null;
  /** Bytes that are durable on the server. */
  stored = 0;
  /** Bytes of the whole file, or null while not known. */
  size: number | null;
  state: UploadState = "idle";
  /** What interrupted or ended the upload last; null if nothing did. */
  lastError: UploadError | null = null;
  readonly name: string;
  private readonly events = new Emitter<UploadEvents>();
  private readonly source: Source;
  private readonly attempts: Attempts;
  private readonly timing: Timing;
  private readonly network: Network;
  private running: Promise<Manifest> | undefined;
  private cancelling: Promise<void> | undefined;
  /** Aborted to end the present attempt. */
  private attempt = new AbortController();
  /** Aborted to end the present wait. */
  private waiting = new AbortController();

  /** `company` is for a `Batch`: the small files with which this one goes together. */
  constructor(source: Uploadable, options: UploadOptions = {}, company?: Company) {
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
        company,
        ...routeOf(options),
      },
      {
        sending: () => this.report("uploading"),
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

  /** Call `callback` at each event. Returns a function that stops this. */
  on<K extends keyof UploadEvents>(
    event: K,
    callback: (value: UploadEvents[K]) => void,
  ): () => void {
    return this.events.on(event, callback);
  }

  /**
   * Start, or start again after a failure. Resolves when the server has verified and published the
   * file; rejects with UploadError. Further calls while it runs return the same promise.
   */
  start(): Promise<Manifest> {
    if (this.running !== undefined && this.state !== "failed") return this.running;
    if (this.state === "cancelled") return Promise.reject(new UploadError("cancelled"));
    this.running = this.run();
    this.running.catch(() => undefined); // the event `error` reports it as well
    return this.running;
  }

  /** Stop sending. What is stored stays on the server. */
  pause(): void {
    if (!isUnderWay(this.state)) return;
    this.enter("paused");
    this.attempt.abort(new Error("paused"));
    this.waiting.abort();
  }

  /** Continue after `pause`, with what the server says is missing. */
  resume(): void {
    if (this.state !== "paused") return;
    this.enter("connecting");
    this.waiting.abort();
  }

  /**
   * Stop, and delete what the server has, also when the upload finished just now. Resolves when it
   * is deleted. Rejects with UploadError when it could not be deleted; an unfinished upload then
   * expires by itself later. Does nothing once the state is `done`.
   */
  cancel(): Promise<void> {
    if (this.state === "done") return Promise.resolve();
    this.cancelling ??= this.withdraw();
    return this.cancelling;
  }

  // -- the attempts

  private async run(): Promise<Manifest> {
    const unwatch = this.network.watch(() => this.networkChanged());
    this.lastError = null;
    try {
      for (;;) {
        await this.permitted();
        const file = await this.once();
        if (this.isCancelled) throw new UploadError("cancelled");
        if (file !== null) return this.finished(file);
      }
    } catch (error) {
      throw this.failed(error);
    } finally {
      unwatch();
    }
  }

  /** Returns when an attempt may begin. */
  private async permitted(): Promise<void> {
    while (this.state === "paused") {
      this.waiting = new AbortController();
      await aborted(this.waiting.signal);
    }
    if (this.isCancelled) throw new UploadError("cancelled");
    this.enter("connecting");
  }

  /** One attempt, and the wait after it. Returns null when another attempt must follow. */
  private async once(): Promise<CompleteFile | null> {
    this.attempt = new AbortController();
    try {
      return await this.attempts.attempt(this.attempt.signal);
    } catch (failure) {
      if (this.isStopped) return null;
      await this.recover(failure);
      return null;
    }
  }

  private async recover(failure: unknown): Promise<void> {
    this.waiting = new AbortController();
    const error = failure instanceof Retry ? failure.error : failure;
    if (error instanceof UploadError) this.lastError = error;
    const lost = this.attempt.signal.aborted || this.lastError?.code === "network";
    if (lost && !this.network.online) {
      this.enter("offline");
      await this.timing.sleep(OFFLINE_RETRY, this.waiting.signal);
      return;
    }
    if (this.attempt.signal.aborted) return; // the network came back in the meantime
    const seconds = await this.attempts.recover(failure);
    if (this.isStopped) return;
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
    const deleted = await this.attempts.abort();
    this.attempt.abort(new Error("cancelled"));
    this.waiting.abort();
    await running?.catch(() => undefined);
    this.source.close();
    if (!deleted) await this.attempts.remove(new AbortController().signal);
  }

  // -- what an attempt reports

  private opened({ id, size, upload_size: stored }: OpenedUpload): void {
    this.id = id;
    this.size = this.source.size ?? size;
    this.report("uploading");
    this.events.emit("opened", { id, size: this.size, stored, resumedFrom: this.resumedFrom });
    this.progressed(stored);
  }

  private progressed(stored: number, verified = 0): void {
    this.stored = stored;
    this.size ??= this.source.size;
    this.events.emit("progress", { stored, size: this.size, verified });
  }

  private verifying(done: number): void {
    this.report("verifying");
    this.progressed(this.stored, done);
  }

  private finished(file: CompleteFile): Manifest {
    this.id = file.id;
    this.size = file.size;
    this.source.close();
    this.progressed(file.size, file.size);
    this.lastError = null;
    this.enter("done");
    return { ...file, name: this.name, url: this.attempts.absolute(file.url) };
  }

  private failed(failure: unknown): UploadError {
    if (this.isCancelled) return new UploadError("cancelled");
    const error =
      failure instanceof UploadError
        ? failure
        : new UploadError("internal", { detail: String(failure) }, { cause: failure });
    this.lastError = error;
    if (this.source.rereadable) this.source.close();
    this.enter("failed");
    this.events.emit("error", error);
    return error;
  }

  // -- the state

  private get isCancelled(): boolean {
    return this.state === "cancelled";
  }

  /** Whether the caller stopped the attempt. */
  private get isStopped(): boolean {
    return this.state === "paused" || this.isCancelled;
  }

  /** An attempt that the caller has stopped may still report, which changes nothing. */
  private report(state: UploadState): void {
    if (!this.isStopped) this.enter(state);
  }

  private enter(state: UploadState): void {
    if (this.state === state) return;
    if (!follows(this.state, state)) throw new Error(`${state} cannot follow ${this.state}`);
    this.state = state;
    this.events.emit("state", state);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
