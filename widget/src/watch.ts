/**
 * What changes among the user's files, for pages that show them: `GET /v1/events`, by `fetch`, so that a
 * bearer token can be sent. A connection that is lost is made again behind the last event.
 * Source: docs/http-api.md, "GET /v1/events"; WHATWG HTML, "Server-sent events".
 */

import { networkError, UploadError } from "./protocol/errors.js";
import { Backoff } from "./transport/backoff.js";
import { refusal } from "./transport/http.js";
import { apiOf, timingOf, type UploadOptions } from "./upload/options.js";

/** A file or upload, as `GET /v1/files` lists it; the other fields are those of its manifest. */
export interface Changed extends Gone {
  readonly state: "uploading" | "approving" | "ready";
  readonly size: number | null;
  readonly mime_type: string;
  readonly [field: string]: unknown;
}

/** A file or upload that is there no more. */
export interface Gone {
  readonly _id: string;
  readonly user_id: string;
  readonly name: string;
  readonly directory: string;
}

/** After `resync` more has changed than could be told: read your lists again. */
export type Change =
  | { readonly type: "file.changed" | "upload.changed"; readonly data: Changed }
  | { readonly type: "file.deleted" | "upload.ended"; readonly data: Gone }
  | { readonly type: "resync" };

export interface WatchOptions extends Pick<
  UploadOptions,
  "url" | "token" | "fetch" | "now" | "sleep" | "random"
> {
  /** Called when the server refuses for good; there are no changes any more. */
  readonly onError?: ((error: UploadError) => void) | undefined;
  /**
   * Hold the stream only while the page is visible; what changed meanwhile follows when it is visible again.
   * Over HTTP/1.1 a browser has six connections to a server for all tabs together, and each stream holds one.
   */
  readonly onlyVisible?: boolean | undefined;
}

/** The server shows every 20 s that it lives; a stream that is quiet for longer is lost. */
const SILENCE = 60_000;
const FOREVER = Number.POSITIVE_INFINITY;

/** Call `onChange` for everything that changes, until the returned function is called. */
export function watch(onChange: (change: Change) => void, options: WatchOptions = {}): () => void {
  const end = new AbortController();
  void new Watch(onChange, options, end.signal).run();
  return () => end.abort();
}

class Watch {
  private last = "";
  private readonly api;
  private readonly timing;
  private readonly backoff;
  private readonly fetch;

  constructor(
    private readonly onChange: (change: Change) => void,
    private readonly options: WatchOptions,
    private readonly signal: AbortSignal,
  ) {
    this.api = apiOf(options);
    this.timing = timingOf(options);
    this.backoff = new Backoff(FOREVER, this.timing.random);
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  async run(): Promise<void> {
    let refusals = 0;
    while (!this.signal.aborted) {
      let after = 0;
      await this.untilVisible();
      try {
        await this.read();
        refusals = 0;
      } catch (thrown) {
        if (this.signal.aborted) return;
        if (this.hidden) continue;
        const error = thrown instanceof UploadError ? thrown : networkError(String(thrown), thrown);
        const renews = error.code === "unauthorized" && this.api.credential.renewable && refusals++ === 0;
        if (renews) this.api.credential.refused();
        else if (!error.retryable) return this.options.onError?.(error);
        after = Number(error.facts["retry_after"] ?? 0);
      }
      await this.timing.sleep((this.backoff.delay(after) ?? 0) * 1000, this.signal);
    }
  }

  /** Whether nobody sees what changes. */
  private get hidden(): boolean {
    return this.options.onlyVisible === true && globalThis.document?.visibilityState === "hidden";
  }

  private async untilVisible(): Promise<void> {
    // To a position before all others the server says `resync`: what was read before may be old by then.
    if (this.hidden) this.last ||= "0";
    while (this.hidden && !this.signal.aborted) {
      const changed = new AbortController();
      await new Promise<void>((resolve) => {
        document.addEventListener("visibilitychange", () => resolve(), { signal: changed.signal });
        this.signal.addEventListener("abort", () => resolve(), { signal: changed.signal });
      });
      changed.abort();
    }
  }

  /** Read one stream to its end. */
  private async read(): Promise<void> {
    const token = await this.api.credential.get();
    const lost = new AbortController();
    const hide = () => this.hidden && lost.abort();
    globalThis.document?.addEventListener("visibilitychange", hide);
    let timer = setTimeout(() => lost.abort(), SILENCE);
    try {
      hide();
      const response = await this.fetch(`${this.api.base}/v1/events`, {
        headers: {
          Accept: "text/event-stream",
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(this.last === "" ? {} : { "Last-Event-ID": this.last }),
        },
        signal: AbortSignal.any([this.signal, lost.signal]),
        cache: "no-store",
      });
      if (!response.ok || response.body === null) throw refusal(response, await response.text());
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (let rest = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => lost.abort(), SILENCE);
        const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = parts.pop() ?? "";
        for (const part of parts) this.take(part);
      }
    } finally {
      clearTimeout(timer);
      globalThis.document?.removeEventListener("visibilitychange", hide);
    }
  }

  private take(text: string): void {
    const fields = new Map(text.split("\n").map((line) => split(line)));
    this.backoff.progressed();
    const type = fields.get("event");
    if (type !== undefined && !this.signal.aborted) {
      const data: unknown = JSON.parse(fields.get("data") ?? "{}");
      this.onChange({ type, data } as Change);
    }
    this.last = fields.get("id") ?? this.last;
  }
}

function split(line: string): [string, string] {
  const [name = "", ...value] = line.split(": ");
  return [name, value.join(": ")];
}
