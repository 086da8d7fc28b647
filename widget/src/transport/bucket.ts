/**
 * The bytes of a file to the bucket where it will live, past the server: whole, or the parts that the
 * bucket lacks. Source: docs/http-api.md, "Sending to the bucket".
 */

import { asInteger, asMap, asText } from "../protocol/messages.js";
import type { Source } from "../source/source.js";
import { Backoff, type Timing } from "./backoff.js";
import type { Api, Json } from "./http.js";

/** Parts that are sent at the same time: browsers open six connections to a server. */
const AT_ONCE = 3;
/** Seconds for which a bucket that fails is tried again; after that the server takes the bytes. */
const PATIENCE = 10;
/** Milliseconds without progress after which a request counts as lost. */
const STALLED = 60_000;
/** Bytes in a millisecond below which a request counts as lost that reports no progress. */
const SLOWEST = 4;
/** Milliseconds that the bucket may take to answer after the last byte: it stores the whole object first. */
const ANSWERING = 600_000;
/** The most milliseconds of a timer. */
const LONGEST = 2 ** 31 - 1;

/** Where bytes are sent by PUT. Its right is in the address: no credential is sent. */
interface Address {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A part of a file, numbered by the bucket. */
interface Part extends Address {
  readonly start: number;
  readonly size: number;
  readonly stored: boolean;
}

/** What a bucket answers to a PUT. */
export interface PutAnswer {
  readonly status: number;
  readonly text: string;
}

/** Statuses below 500 by which a bucket asks to send the same bytes again. */
const TEMPORARY: readonly number[] = [408, 429];

/**
 * Sends a body by PUT and returns the answer. `onSent` is called with the bytes that are sent so far.
 * Rejects when the bucket cannot be reached, or the signal is aborted.
 */
export type Put = (
  to: Address,
  body: Blob,
  onSent: (bytes: number) => void,
  signal: AbortSignal,
) => Promise<PutAnswer>;

/** The bucket does not take the bytes. */
export class BucketRefused extends Error {
  constructor(
    message: string,
    /** Whether no answer came: the network or the bucket's CORS rules do not let this page write to it. */
    readonly unreachable = false,
  ) {
    super(message);
  }
}

/** What the bucket got. Sizes are in bytes. */
export interface BucketListener {
  /** So many bytes in total. Less than before where a request failed. */
  moved(total: number): void;
  /** It has so many bytes in total, some of them since before. */
  found(total: number): void;
  /** It acknowledged so many more. */
  brought(bytes: number): void;
}

/** By `fetch`, which does not report progress: how long it may take depends on the size. */
export function putByFetch(fetch: typeof globalThis.fetch): Put {
  return async ({ url, headers }, body, onSent, signal) => {
    const longest = Math.min(Math.ceil(STALLED + body.size / SLOWEST), LONGEST);
    const either = AbortSignal.any([signal, AbortSignal.timeout(longest)]);
    const answer = await fetch(url, { method: "PUT", headers, body, signal: either, credentials: "omit" });
    onSent(body.size);
    return { status: answer.status, text: answer.ok ? "" : await answer.text() };
  };
}

/** By `XMLHttpRequest`: the one way by which a page learns how much was sent. */
export const putByXhr: Put = ({ url, headers }, body, onSent, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const stop = (): void => request.abort();
    let timer = setTimeout(stop, STALLED);
    const wait = (milliseconds: number): void => {
      clearTimeout(timer);
      timer = setTimeout(stop, milliseconds);
    };
    const end = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      act();
    };
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      wait(STALLED);
      onSent(loaded);
    };
    request.upload.onload = () => wait(ANSWERING);
    request.onload = () => end(() => resolve({ status: request.status, text: request.responseText }));
    request.onerror = () => end(() => reject(new TypeError("The bucket cannot be reached.")));
    request.onabort = () => end(() => reject(new TypeError("The request was stopped.")));
    signal.addEventListener("abort", stop);
    request.send(body);
  });

/** Sends one file. It is thrown away when an attempt ends. */
export class Bucket {
  private there = 0;
  private readonly flying = new Map<number, number>();
  private readonly over = new AbortController();
  private readonly signal: AbortSignal;

  constructor(
    private readonly api: Api,
    private readonly source: Source,
    private readonly put: Put,
    private readonly timing: Timing,
    private readonly listener: BucketListener,
    outer: AbortSignal,
  ) {
    this.signal = AbortSignal.any([outer, this.over.signal]);
  }

  /** Send the whole file. Rejects with BucketRefused, or when the signal is aborted. */
  async sendWhole(upload: Json): Promise<void> {
    await this.send({ ...addressOf(upload), start: 0, size: this.source.size ?? 0 });
  }

  /** Send the parts that the bucket lacks. Rejects like `sendWhole`, and with UploadError. */
  async sendParts(id: string): Promise<void> {
    for (let from: number | null = 1; from !== null; ) {
      const path: string = `/v1/media/${id}/parts?from=${from}`;
      const page: Json = await this.api.json("GET", path, { signal: this.signal });
      const parts = ((page["parts"] ?? []) as readonly unknown[]).map(partOf);
      this.there += parts.reduce((sum, { size, stored }) => sum + (stored ? size : 0), 0);
      this.listener.found(this.there);
      this.report();
      await this.sendAll(parts.filter(({ stored }) => !stored));
      from = page["next"] === null ? null : asInteger(page["next"]);
    }
  }

  private async sendAll(parts: readonly Part[]): Promise<void> {
    const left = parts.values();
    const lane = async (): Promise<void> => {
      for (const part of left) await this.send(part);
    };
    const lanes = Array.from({ length: AT_ONCE }, () => lane().catch((error: unknown) => this.stop(error)));
    await Promise.all(lanes);
    this.signal.throwIfAborted();
  }

  /** The first failure ends the other requests. */
  private stop(error: unknown): void {
    this.over.abort(error);
  }

  private async send(part: Omit<Part, "stored">): Promise<void> {
    const backoff = new Backoff(PATIENCE, this.timing.random);
    while (!(await this.once(part))) {
      const seconds = backoff.delay();
      if (seconds === null) throw new BucketRefused("The bucket cannot be reached.", true);
      await this.timing.sleep(seconds * 1000, this.signal);
      this.signal.throwIfAborted();
    }
    this.flying.delete(part.start);
    this.there += part.size;
    this.listener.brought(part.size);
    this.report();
  }

  /** Whether the bucket took the part. Rejects with BucketRefused where it never will. */
  private async once(part: Omit<Part, "stored">): Promise<boolean> {
    const { start, size } = part;
    const body = this.source.slice(start, start + size);
    if (body === undefined) throw new BucketRefused("The bytes can be read only once.");
    const sent = (bytes: number): void => this.sent(start, bytes);
    const answer = await this.put(part, body, sent, this.signal).catch(() => null);
    this.signal.throwIfAborted();
    if (answer !== null && answer.status >= 200 && answer.status < 300) return true;
    if (answer !== null && !isTemporary(answer)) throw new BucketRefused(`The bucket answered ${answer.status}.`);
    this.sent(start, 0);
    return false;
  }

  private sent(start: number, bytes: number): void {
    if (this.signal.aborted) return;
    this.flying.set(start, bytes);
    this.report();
  }

  private report(): void {
    let total = this.there;
    for (const bytes of this.flying.values()) total += bytes;
    this.listener.moved(total);
  }
}

/** Whether the bucket may take the same bytes later. S3 answers 400 with this code where they came too slowly. */
function isTemporary({ status, text }: PutAnswer): boolean {
  const slow = status === 400 && text.includes("<Code>RequestTimeout</Code>");
  return status < 200 || status >= 500 || TEMPORARY.includes(status) || slow;
}

function addressOf(value: unknown): Address {
  const { url, headers } = asMap(value);
  const fields = Object.entries(asMap(headers)).map(([name, text]) => [name, asText(text)] as const);
  return { url: asText(url), headers: Object.fromEntries(fields) };
}

function partOf(value: unknown): Part {
  const { start, size, stored } = asMap(value);
  return { ...addressOf(value), start: asInteger(start), size: asInteger(size), stored: stored === true };
}
