import { describe, expect, test, vi } from "vitest";

import { Batch, type BatchDone, type BatchFile, type BatchOptions, findFile } from "../../src/index.js";
import { SMALL } from "../../src/upload/batch.js";
import { TINY } from "../../src/upload/small-files.js";
import { settle, until } from "../support/helpers.js";
import { refuse } from "../support/peer.js";
import { CHUNK, peer } from "../support/uploads.js";

const POST = "POST /v1/files";

function batchOf(options: BatchOptions = {}): Batch {
  const { url, WebSocket, fetch } = peer;
  return new Batch({ url, WebSocket, fetch, random: () => 0, ...options });
}

function files(count: number, directory = ""): BatchFile[] {
  return Array.from({ length: count }, (_, each) => ({
    file: new File([`content ${each}`], `f${each}.txt`, { type: "text/plain" }),
    directory,
  }));
}

/** Files that are too large to go together with others, and have a request each. */
function larger(count: number, directory = ""): BatchFile[] {
  return Array.from({ length: count }, (_, each) => ({
    file: new File([new Uint8Array(TINY + 1).fill(each)], `f${each}.txt`, { type: "text/plain" }),
    directory,
  }));
}

/** A server that takes its time, as every real one does. */
function unhurried(): typeof globalThis.fetch {
  const { fetch } = peer;
  return (async (address: unknown, init?: RequestInit) => {
    await settle();
    return fetch(address, init);
  }) as typeof globalThis.fetch;
}

/** Hold back the answers to small files. Returns how many wait, and a function that releases them. */
function held(): { fetch: typeof globalThis.fetch; waiting: () => number; most: () => number; release: () => void } {
  const { fetch: answered } = peer;
  let free = false;
  const waiting: Array<() => void> = [];
  let most = 0;
  const slow = async (address: unknown, init?: RequestInit) => {
    if (init?.method === "POST" && !free) {
      await new Promise<void>((resolve) => {
        most = Math.max(most, waiting.push(resolve));
      });
    }
    return answered(address, init);
  };
  const release = (): void => {
    free = true;
    for (const go of waiting.splice(0)) go();
  };
  return { fetch: slow as typeof globalThis.fetch, waiting: () => waiting.length, most: () => most, release };
}

test("a thousand tiny files go by few requests, and the totals agree", async () => {
  const batch = batchOf({ fetch: unhurried() });
  batch.add(files(1000, "holiday/2026"));
  const totals = await batch.settled();
  expect(totals).toMatchObject({ files: 1000, done: 1000, failed: 0, skipped: 0 });
  expect([totals.stored, totals.sent, peer.sockets.length]).toEqual([totals.size, totals.size, 0]);
  expect(peer.count(POST)).toBeLessThan(50);
  const requests = [...peer.uploads.values()].map(({ request }) => request);
  expect(new Set(requests.map(({ directory }) => directory))).toEqual(new Set(["holiday/2026"]));
  expect(new Set(requests.map(({ name }) => name)).size).toBe(1000);
});

test("five are sent at once, and events come four times a second", async () => {
  const slow = held();
  const batch = batchOf({ fetch: slow.fetch });
  let changes = 0;
  batch.on("change", () => (changes += 1));
  batch.add(larger(300));
  await until(() => slow.waiting() === 5);
  await settle();
  expect([slow.most(), batch.totals.done]).toEqual([5, 0]);
  const begun = performance.now();
  slow.release();
  await batch.settled();
  expect(changes).toBeLessThanOrEqual(2 + (performance.now() - begun) / 250);
});

test("large files are uploads in pieces, three at once", async () => {
  peer.chunkSize = SMALL;
  peer.window = 4 * SMALL;
  const large = Array.from({ length: 4 }, (_, each) => ({
    file: new File([new Uint8Array(SMALL + 1).fill(each)], `film${each}.mp4`),
  }));
  const waiting: Array<() => void> = [];
  peer.look = ([number, , start, , data], socket) => {
    if (number !== CHUNK) return false;
    waiting.push(() => socket.stored(start as number, data as Uint8Array));
    return true;
  };
  const batch = batchOf();
  batch.add([...large, ...files(2)]);
  await until(() => waiting.length === 6);
  await until(() => batch.totals.done === 2);
  expect([peer.sockets.length, batch.ids.length]).toEqual([3, 3]);
  peer.look = () => undefined;
  for (const go of waiting) go();
  expect(await batch.settled()).toMatchObject({ done: 6 });
  expect([peer.count("CREATE"), peer.count(POST)]).toEqual([4, 2]);
});

describe("a failure", () => {
  test("does not stop the others, and can be tried again", async () => {
    let refused = 0;
    peer.answer = (method) => (method === "POST" && refused++ % 10 === 0 ? refuse(403, "forbidden") : undefined);
    const batch = batchOf();
    const failed: string[] = [];
    batch.on("failure", ({ file }) => failed.push(file.name));
    batch.add(files(100));
    expect(await batch.settled()).toMatchObject({ done: 90, failed: 10 });
    expect(batch.failures.map(({ file }) => file.name)).toEqual(failed);
    expect(batch.failures[0]?.error.code).toBe("forbidden");
    peer.answer = () => undefined;
    batch.retry();
    expect(await batch.settled()).toMatchObject({ files: 100, done: 100, failed: 0 });
  });

  test("of the credential pauses the rest, which need not fail one by one", async () => {
    peer.tokens = new Set(["good"]);
    const batch = batchOf({ token: "bad" });
    batch.add(files(100));
    await until(() => batch.state === "paused");
    await until(() => batch.totals.failed > 0);
    await settle();
    expect(batch.totals.done).toBe(0);
    expect(batch.totals.failed).toBeLessThanOrEqual(2); // those that were under way
  });
});

test("pause lets the files in flight finish and begins no more", async () => {
  const slow = held();
  const batch = batchOf({ fetch: slow.fetch });
  batch.add(larger(50));
  await until(() => slow.waiting() === 5);
  batch.pause();
  slow.release();
  await until(() => batch.totals.done === 5);
  await settle();
  expect(batch.totals.done).toBe(5);
  batch.resume();
  expect(await batch.settled()).toMatchObject({ done: 50 });
});

test("cancel sends no more, and deletes what was being sent", async () => {
  const slow = held();
  const batch = batchOf({ fetch: slow.fetch });
  batch.add(larger(50));
  await until(() => slow.waiting() === 5);
  const cancelled = batch.cancel();
  await settle();
  slow.release();
  await cancelled;
  await settle();
  expect([peer.count(POST), peer.uploads.size, batch.underWay]).toEqual([5, 0, false]);
  expect(() => batch.add(files(1))).toThrow(TypeError);
});

describe("files that are there already", () => {
  test("are not sent again after a reload", async () => {
    const first = batchOf();
    first.add(files(30, "d"));
    await first.settled();
    const second = batchOf();
    const done: BatchDone[] = [];
    second.on("done", (each) => done.push(each));
    second.add([...files(40, "d"), ...files(1, "other")]);
    expect(await second.settled()).toMatchObject({ done: 41, skipped: 30 });
    expect(peer.uploads.size).toBe(41);
    expect(done.map(({ skipped }) => skipped).filter(Boolean).length).toBe(30);
    expect(new Set(done.map(({ id }) => id))).toEqual(new Set(peer.uploads.keys()));
    for (const { id, url } of done) expect(url).toBe(`${peer.url}/v1/files/${id}`);
    const [known] = files(1, "d");
    const { url, fetch } = peer;
    const sought = (file: BatchFile): Promise<string | undefined> => findFile(file, { url, fetch });
    expect(await sought(known!)).toBe(done.find(({ file }) => file.name === known!.file.name)?.id);
    expect(await sought({ ...known!, directory: "elsewhere" })).toBeUndefined();
  });

  test("are sent when their content differs", async () => {
    const first = batchOf();
    first.add([{ file: new File(["one"], "a.txt") }]);
    await first.settled();
    const second = batchOf();
    second.add([{ file: new File(["two"], "a.txt") }]);
    expect(await second.settled()).toMatchObject({ done: 1, skipped: 0 });
  });

  test("are found by the CRC-32C where the server has no SHA-256, and in either form of a name", async () => {
    const kept = peer.create({ name: "Gru\u0308n.txt", directory: "", size: 3 });
    kept.state = "ready";
    const { answer } = peer;
    peer.answer = (method, path) =>
      method === "GET" && path === "/v1/files"
        ? Response.json({ files: [{ name: "Gru\u0308n.txt", size: 3, sha256: null, crc32c: 0x364b3fb7 }], cursor: null })
        : answer(method, path);
    const batch = batchOf();
    batch.add([{ file: new File(["abc"], "Gr\u00fcn.txt") }, { file: new File(["abd"], "Gr\u00fcn.txt") }]);
    expect(await batch.settled()).toMatchObject({ done: 2, skipped: 1 });
  });

  test("a list that fails does not stop the upload", async () => {
    peer.answer = (method) => (method === "GET" ? refuse(403, "forbidden") : undefined);
    const batch = batchOf();
    batch.add(files(3));
    expect(await batch.settled()).toMatchObject({ done: 3, skipped: 0 });
  });
});

test("a lost connection is reported, and the files are sent again", async () => {
  let lost = 0;
  const flaky = (address: unknown, init?: RequestInit): Promise<Response> =>
    init?.method === "POST" && lost++ < 3 ? Promise.reject(new TypeError("Failed to fetch")) : answered(address, init);
  const { fetch: answered } = peer;
  const batch = batchOf({ fetch: flaky as typeof globalThis.fetch });
  const stalled: string[] = [];
  batch.on("stalled", (error) => stalled.push(error.code));
  batch.add(files(10));
  expect(await batch.settled()).toMatchObject({ done: 10, failed: 0 });
  expect(stalled).toContain("network");
});

describe("one file of a batch", () => {
  test("is seen in its state, and paused, resumed, and taken out", async () => {
    const slow = held();
    const batch = batchOf({ fetch: slow.fetch });
    batch.add(larger(9));
    await until(() => slow.waiting() === 5);
    const states = (): string[] => Array.from({ length: batch.length }, (_, each) => batch.at(each)!.state);
    expect(states()).toEqual([...Array<string>(5).fill("sending"), ...Array<string>(4).fill("waiting")]);
    const [sixth, seventh] = [batch.at(5)!, batch.at(6)!];
    batch.pause(sixth);
    await batch.cancel(seventh);
    expect([sixth.state, batch.totals.files]).toEqual(["paused", 8]);
    slow.release();
    await until(() => batch.totals.done === 7);
    expect([batch.underWay, batch.running]).toEqual([true, [sixth]]);
    batch.resume(sixth);
    await batch.settled();
    expect([states(), batch.totals.done, peer.count(POST)]).toEqual([Array(8).fill("done"), 8, 8]);
    expect([...peer.uploads.values()].map(({ request }) => request["name"])).not.toContain(seventh.file.name);
  });

  test("leaves nothing when it is taken out while it is sent, and others go on", async () => {
    const slow = held();
    const batch = batchOf({ fetch: slow.fetch });
    batch.add(larger(3));
    await until(() => slow.waiting() === 3);
    const gone = batch.at(1)!;
    const cancelled = batch.cancel(gone);
    slow.release();
    await cancelled;
    expect(await batch.settled()).toMatchObject({ files: 2, done: 2 });
    await until(() => peer.uploads.size === 2);
    expect(batch.totals.size).toBe(batch.totals.stored);
  });

  test("that failed is sent again alone", async () => {
    peer.answer = (method) => (method === "POST" ? refuse(403, "forbidden") : undefined);
    const batch = batchOf();
    batch.add(files(2));
    await batch.settled();
    expect([batch.length, batch.failures.map(({ error }) => error.code)]).toEqual([0, ["forbidden", "forbidden"]]);
    peer.answer = () => undefined;
    batch.retry(batch.failures[1]);
    expect(await batch.settled()).toMatchObject({ done: 1, failed: 1 });
    await batch.cancel(batch.failures[0]);
    expect(batch.totals).toMatchObject({ files: 1, done: 1, failed: 0 });
  });

  test("that is there is uploaded beside it when that is wanted", async () => {
    const first = batchOf();
    first.add(files(1));
    await first.settled();
    const second = batchOf();
    second.add(files(1));
    expect(await second.settled()).toMatchObject({ done: 1, skipped: 1 });
    const there = second.at(0)!;
    expect([there.state, there.id]).toEqual(["there", [...peer.uploads.keys()][0]]);
    second.retry(there);
    expect(await second.settled()).toMatchObject({ files: 1, done: 1, skipped: 0 });
    expect(peer.uploads.size).toBe(2);
  });
});

describe("a name that is taken by other bytes", () => {
  test.each([["both", 2, "done", 0], ["skip", 1, "skipped", 1]] as const)("is asked about: %s", async (choice, kept, state, skipped) => {
    const first = batchOf();
    first.add([{ file: new File(["one"], "a.txt"), directory: "d" }]);
    await first.settled();
    const asked: unknown[] = [];
    const second = batchOf({ exists: (item, there) => Promise.resolve((asked.push([item.state, item.file.name, there.size]), choice)) });
    second.add([{ file: new File(["three"], "a.txt"), directory: "d" }, { file: new File(["x"], "b.txt"), directory: "d" }]);
    expect(await second.settled()).toMatchObject({ done: 2, skipped });
    expect(asked).toEqual([["asking", "a.txt", 3]]);
    expect(peer.uploads.size).toBe(kept + 1);
    expect([second.at(0)!.state, second.at(1)!.state].sort()).toEqual(["done", state].sort());
  });

  test("is given to the new bytes in its place", async () => {
    const first = batchOf();
    first.add([{ file: new File(["one"], "a.txt") }]);
    await first.settled();
    const second = batchOf({ exists: () => Promise.resolve("replace") });
    second.add([{ file: new File(["three"], "a.txt") }]);
    expect(await second.settled()).toMatchObject({ done: 1, skipped: 0 });
    const [old, other] = [...peer.uploads.values()];
    // One small request makes a file: only an upload in pieces can replace one.
    expect([other?.request["replaces"], peer.count(POST), peer.count("CREATE")]).toEqual([old?.id, 1, 1]);
  });
});

test("a hidden tab, whose timers are late, uploads at full speed", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setInterval"] }); // they never fire
  try {
    const batch = batchOf();
    batch.add(files(100));
    expect(await batch.settled()).toMatchObject({ done: 100 });
  } finally {
    vi.useRealTimers();
  }
});

test("a file that cannot be read fails alone", async () => {
  const gone = new File(["x"], "gone.txt");
  const unreadable = new DOMException("permission", "NotReadableError");
  Object.assign(gone, { arrayBuffer: () => Promise.reject(unreadable) });
  const batch = batchOf();
  batch.add([{ file: gone }, ...files(3)]);
  expect(await batch.settled()).toMatchObject({ done: 3, failed: 1 });
  expect(batch.failures[0]?.error.code).toBe("source-changed");
});
