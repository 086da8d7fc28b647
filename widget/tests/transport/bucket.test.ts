/** How long a PUT to a bucket may take. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { putByFetch, putByXhr } from "../../src/transport/bucket.js";
import { someBytes } from "../support/helpers.js";

const TO = { url: "http://bucket.test/0", headers: { "Content-Type": "video/mp4" } };
const BODY = new Blob([someBytes(47)]);
const never = new AbortController().signal;

describe("by fetch", () => {
  /** A network that never answers. */
  const hanging = ((_: unknown, init?: RequestInit) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error));
    })) as typeof fetch;

  afterEach(() => vi.restoreAllMocks());

  test.each([
    ["a few bytes", 0, 60_000],
    ["47 bytes", 47, 60_012],
    ["more bytes than a timer can wait for", 1e11, 2 ** 31 - 1],
  ])("%s are given up after a time", async (_, size, longest) => {
    const over = new AbortController();
    const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(over.signal);
    const end = putByFetch(hanging)(TO, { size } as Blob, vi.fn(), never);
    over.abort(new Error("It took too long."));
    await expect(end).rejects.toThrow("It took too long.");
    expect(timeout).toHaveBeenCalledWith(longest);
  });
});

describe("by XMLHttpRequest", () => {
  class Request {
    static last: Request;
    readonly upload: { onprogress?: (event: { loaded: number }) => void; onload?: () => void } = {};
    readonly status = 200;
    readonly responseText = "stored";
    readonly open = vi.fn();
    readonly setRequestHeader = vi.fn();
    readonly send = vi.fn();
    onload?: () => void;
    onabort?: () => void;

    constructor() {
      Request.last = this;
    }

    abort(): void {
      this.onabort?.();
    }
  }

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("XMLHttpRequest", Request);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test("a request that stalls is given up after a minute", async () => {
    const end = putByXhr(TO, BODY, vi.fn(), never);
    const stopped = expect(end).rejects.toThrow("stopped");
    vi.advanceTimersByTime(59_000);
    Request.last.upload.onprogress?.({ loaded: 40 });
    vi.advanceTimersByTime(60_000);
    await stopped;
  });

  test("a bucket may take ten minutes to answer once it has all bytes", async () => {
    const end = putByXhr(TO, BODY, vi.fn(), never);
    Request.last.upload.onprogress?.({ loaded: 47 });
    Request.last.upload.onload?.();
    vi.advanceTimersByTime(599_000);
    Request.last.onload?.();
    expect(await end).toEqual({ status: 200, text: "stored" });
  });

  test("a bucket that never answers is given up", async () => {
    const end = putByXhr(TO, BODY, vi.fn(), never);
    const stopped = expect(end).rejects.toThrow("stopped");
    Request.last.upload.onload?.();
    vi.advanceTimersByTime(600_000);
    await stopped;
  });
});
