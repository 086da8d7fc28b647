import { createHash } from "node:crypto";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Checksums } from "../../src/source/checksum.js";
import { crc32cByTables } from "../../src/source/crc32c.js";
import { Reading, ROOM } from "../../src/source/reading.js";
import { type Answer, type Close, type Job, type Open, type Stop, summed } from "../../src/source/sums.js";
import { someBytes } from "../support/helpers.js";

const BYTES = someBytes(1000);
const BLOB = new Blob([BYTES]);

function readingOf(blob: Blob): Reading {
  return new Reading(blob, () => Promise.resolve(crc32cByTables));
}

/** The buffer of a piece goes to the worker. */
function structuredCloned<T extends object>(message: T, transfer: Transferable[]): T {
  return "buffer" in message ? { ...message, buffer: structuredClone(message.buffer, { transfer }) } : message;
}

/** What a browser's worker does, on this thread. */
class FakeWorker {
  static readonly all: FakeWorker[] = [];
  static broken = false;
  onmessage: ((event: { data: Answer }) => void) | null = null;
  onerror: ((event: { preventDefault: () => void }) => void) | null = null;
  jobs = 0;
  stopped: number[] = [];
  ended = false;

  constructor(readonly url: URL) {
    FakeWorker.all.push(this);
    if (FakeWorker.broken)
      queueMicrotask(() => this.onerror?.({ preventDefault: () => undefined }));
  }

  private readonly readings = new Map<number, Reading>();

  postMessage(message: Job | Open | Close | Stop, transfer: Transferable[] = []): void {
    const job = structuredCloned(message, transfer);
    if ("stop" in job) return void this.stopped.push(job.stop);
    if ("open" in job) return void this.readings.set(job.open, readingOf(job.blob));
    if ("close" in job) return this.readings.get(job.close)?.close();
    this.jobs += 1;
    if (FakeWorker.broken) return;
    if ("piece" in job) {
      void this.readings.get(job.piece)?.piece(job.start, job.end, job.buffer).then(
        (filled) => this.onmessage?.({ data: { id: job.id, ...filled } }),
        ({ name, message }: Error) => this.onmessage?.({ data: { id: job.id, error: { name, message } } }),
      );
      return;
    }
    const { id, blob, sum } = job;
    if (sum === "sha256") {
      if (blob.size === 1000) this.onmessage?.({ data: { id, sha256: "of the worker" } });
      return;
    }
    summed(blob, crc32cByTables).then(
      ({ crc32c }) => this.onmessage?.({ data: { id, crc32c } }),
      ({ name, message }: Error) => this.onmessage?.({ data: { id, error: { name, message } } }),
    );
  }

  terminate(): void {
    this.ended = true;
  }
}

let checksums: Checksums[] = [];
function use(): Checksums {
  const made = new Checksums();
  checksums.push(made);
  return made;
}

afterEach(() => {
  for (const each of checksums) each.end();
  checksums = [];
  vi.unstubAllGlobals();
});

async function expectSum(each: Checksums): Promise<Blob | Uint8Array> {
  const { data, crc32c } = await each.sum(BLOB);
  expect(crc32c).toBe(crc32cByTables(BYTES));
  return data;
}

async function expectPiece(each: Checksums): Promise<ArrayBuffer> {
  const opened = each.open(BLOB);
  const given = new ArrayBuffer(ROOM + 100);
  const { buffer, crc32c } = await each.piece(opened, 200, 300, given);
  expect(crc32c).toBe(crc32cByTables(BYTES.subarray(200, 300)));
  expect(new Uint8Array(buffer, ROOM)).toEqual(BYTES.subarray(200, 300));
  each.close(opened);
  return given;
}

describe("the digest of a whole blob", () => {
  const signal = (): AbortSignal => new AbortController().signal;

  test("is computed by the worker, and here without one", async () => {
    vi.stubGlobal("Worker", FakeWorker);
    expect(await use().sha256(BLOB, signal())).toBe("of the worker");
    for (const each of checksums) each.end();
    vi.stubGlobal("Worker", undefined);
    const known = createHash("sha256").update(BYTES).digest("hex");
    expect(await use().sha256(BLOB, signal())).toBe(known);
  });

  test("is given up in the worker when nobody wants it any more", async () => {
    vi.stubGlobal("Worker", FakeWorker);
    const over = new AbortController();
    const digest = use().sha256(new Blob(["endless"]), over.signal);
    over.abort(new Error("enough"));
    await expect(digest).rejects.toThrow("enough");
    expect(FakeWorker.all.at(-1)?.stopped).toHaveLength(1);
  });
});

test("without workers this thread computes the sum, and reads pieces", async () => {
  vi.stubGlobal("Worker", undefined);
  expect(await expectSum(use())).toEqual(BYTES);
  await expectPiece(use());
});

test("where the policy forbids workers this thread computes the sum", async () => {
  vi.stubGlobal(
    "Worker",
    class {
      constructor() {
        throw new DOMException("Refused by the policy", "SecurityError");
      }
    },
  );
  await expectSum(use());
});

describe("with workers", () => {
  beforeEach(() => {
    FakeWorker.all.length = 0;
    FakeWorker.broken = false;
    vi.stubGlobal("Worker", FakeWorker);
  });

  test("one serves everyone, and ends with the last", async () => {
    const [first, second] = [use(), use()];
    expect(await expectSum(first)).toBe(BLOB);
    await expectSum(second);
    expect(FakeWorker.all.map(({ jobs }) => jobs)).toEqual([2]);
    first.end();
    first.end();
    expect(FakeWorker.all[0]?.ended).toBe(false);
    second.end();
    expect(FakeWorker.all[0]?.ended).toBe(true);
  });

  test("one that cannot load leaves its jobs to this thread", async () => {
    FakeWorker.broken = true;
    await expectSum(use());
    await expectPiece(use());
  });

  test("one that ends without an answer leaves pieces to this thread, with another buffer", async () => {
    FakeWorker.broken = true;
    const given = await expectPiece(use());
    expect([FakeWorker.all[0]?.jobs, given.byteLength]).toEqual([1, 0]);
  });

  test("a piece is read there, in the buffer that was given", async () => {
    const given = await expectPiece(use());
    expect([FakeWorker.all[0]?.jobs, given.byteLength]).toEqual([1, 0]);
  });

  test("a piece that is asked for and not read when all end is an error", async () => {
    FakeWorker.broken = true;
    const each = use();
    const opened = each.open(BLOB);
    const piece = each.piece(opened, 0, 10, new ArrayBuffer(ROOM + 10));
    each.close(opened);
    each.end();
    await expect(piece).rejects.toThrow("closed");
  });

  test("a read error keeps its name", async () => {
    const unreadable = new Blob([BYTES]);
    const error = new DOMException("The file is gone", "NotReadableError");
    vi.spyOn(unreadable, "arrayBuffer").mockRejectedValue(error);
    const rejected = expect.objectContaining({ name: "NotReadableError" }) as Error;
    await expect(use().sum(unreadable)).rejects.toEqual(rejected);
  });
});
