import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Checksums } from "../../src/source/checksum.js";
import { crc32cByTables } from "../../src/source/crc32c.js";
import { type Answer, type Job, summed } from "../../src/source/sums.js";
import { someBytes } from "../support/helpers.js";

const BYTES = someBytes(1000);
const BLOB = new Blob([BYTES]);

/** What a browser's worker does, on this thread. */
class FakeWorker {
  static readonly all: FakeWorker[] = [];
  static broken = false;
  onmessage: ((event: { data: Answer }) => void) | null = null;
  onerror: ((event: { preventDefault: () => void }) => void) | null = null;
  jobs = 0;
  ended = false;

  constructor(readonly url: URL) {
    FakeWorker.all.push(this);
    if (FakeWorker.broken)
      queueMicrotask(() => this.onerror?.({ preventDefault: () => undefined }));
  }

  postMessage({ id, blob }: Job): void {
    this.jobs += 1;
    if (FakeWorker.broken) return;
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

test("without workers this thread computes the sum", async () => {
  vi.stubGlobal("Worker", undefined);
  expect(await expectSum(use())).toEqual(BYTES);
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
  });

  test("a read error keeps its name", async () => {
    const unreadable = new Blob([BYTES]);
    const error = new DOMException("The file is gone", "NotReadableError");
    vi.spyOn(unreadable, "arrayBuffer").mockRejectedValue(error);
    const rejected = expect.objectContaining({ name: "NotReadableError" }) as Error;
    await expect(use().sum(unreadable)).rejects.toEqual(rejected);
  });
});
