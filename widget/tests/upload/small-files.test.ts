/** Files of a batch that go together by one request. What each asserts: which requests there were, and what is stored. */

import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Batch, type BatchFile, type BatchOptions } from "../../src/index.js";
import { TINY } from "../../src/upload/small-files.js";
import { Together } from "../../src/upload/together.js";
import { settle, until } from "../support/helpers.js";
import { refuse } from "../support/peer.js";
import { code, peer } from "../support/uploads.js";

const [ALONE, TOGETHER] = ["POST /v1/files", "POST /v1/files/batch"];

function batchOf(options: BatchOptions = {}): Batch {
  const { url, WebSocket, fetch } = peer;
  return new Batch({ url, WebSocket, fetch, random: () => 0, ...options });
}

function files(count: number, size = 0): BatchFile[] {
  return Array.from({ length: count }, (_, each) => ({
    file: new File([`content ${each}`, new Uint8Array(size)], `f${each}.txt`, { type: "text/plain", lastModified: 1_700_000_000_000 }),
    directory: "a/b",
  }));
}

/** A request that waits until the test answers it. */
interface Asked {
  readonly what: string;
  readonly key: string | null;
  /** Carry it out, and answer. */
  readonly go: () => void;
  /** The network is lost, before or after it was carried out. */
  readonly lose: (carried: boolean) => void;
  readonly answer: (response: Response) => void;
}

/** Holds requests that store files until the test lets them go. */
class Gate {
  readonly asked: Asked[] = [];
  /** What the test has said nothing of yet. */
  private readonly held = new Set<Asked>();
  private open = false;

  readonly fetch = (async (address: unknown, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    const what = `${method} ${new URL(String(address)).pathname}`;
    if (this.open || ![ALONE, TOGETHER].includes(what)) return this.peer(address, init);
    return new Promise<Response>((resolve, reject) => {
      const lost = (): void => reject(new TypeError("Failed to fetch"));
      init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      const key = new Headers(init.headers).get("Idempotency-Key");
      const carried = () => (this.held.delete(asked), this.peer(address, { ...init, signal: null }));
      const asked: Asked = {
        what,
        key,
        go: () => void carried().then(resolve, reject),
        lose: (first) => void (first ? carried().then(lost, reject) : (this.held.delete(asked), lost())),
        answer: (response) => (this.held.delete(asked), resolve(response)),
      };
      this.asked.push(asked);
      this.held.add(asked);
    });
  }) as typeof globalThis.fetch;

  constructor(private readonly peer: (address: unknown, init?: RequestInit) => Promise<Response>) {}

  /** What was asked so far. */
  get seen(): string[] {
    return this.asked.map(({ what }) => what);
  }

  /** The n-th request, as soon as it comes. */
  async nth(at: number): Promise<Asked> {
    await until(() => this.asked.length > at);
    return this.asked[at]!;
  }

  hold(): void {
    this.open = false;
  }

  /** From now on nothing is held, and what is held goes. */
  release(): void {
    this.open = true;
    for (const { go } of this.held) go();
  }
}

/** Add files, and wait until each has its SHA-256: threads compute them, and take as long as they take. */
async function add(batch: Batch, some: readonly BatchFile[]): Promise<void> {
  const handed = vi.spyOn(Together.prototype, "do");
  batch.add(some);
  await until(() => handed.mock.calls.length === some.length);
  handed.mockRestore();
}

/** A batch whose first two files are under way by requests of their own, while the others wait for each other. */
async function waiting(count: number, size = 0, options: BatchOptions = {}) {
  const gate = new Gate(peer.fetch);
  const batch = batchOf({ ...options, fetch: gate.fetch });
  await add(batch, files(count, size));
  const singles = [await gate.nth(0), await gate.nth(1)];
  await settle();
  expect(gate.seen).toEqual([ALONE, ALONE]);
  return { gate, batch, singles };
}

/** The same, with the others under way, too: by the third request. */
async function together(count: number, options: BatchOptions = {}) {
  const { gate, batch, singles } = await waiting(count, 0, options);
  singles[0]!.go();
  const request = await gate.nth(2);
  expect(request.what).toBe(TOGETHER);
  singles[1]!.go();
  return { gate, batch, request };
}

/** The names of what is stored. */
const names = () => [...peer.uploads.values()].map(({ request }) => String(request["name"])).sort();
const expected = (count: number) => files(count).map(({ file }) => file.name).sort();

test("one file goes alone", async () => {
  const batch = batchOf();
  batch.add(files(1));
  expect(await batch.settled()).toMatchObject({ done: 1 });
  expect([peer.heard.at(-1), peer.together]).toEqual([ALONE, []]);
});

test("those that wait go together, with all that is said of them", async () => {
  const { gate, batch } = await waiting(300, 0, { tags: ["x", "y"], kind: "notes" });
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 300, failed: 0 });
  expect(names()).toEqual(expected(300));
  expect(peer.together.map(({ length }) => length)).toEqual([128, 128, 42]);
  for (const { request, pieces } of peer.uploads.values()) {
    const data = pieces.get(0)!;
    const name = String(request["name"]);
    expect(new TextDecoder().decode(data)).toBe(`content ${name.replace(/\D/g, "")}`);
    if (!peer.together[0]!.includes(name)) continue;
    expect(request).toEqual({
      name,
      size: data.length,
      mime_type: "text/plain",
      directory: "a/b",
      tags: ["x", "y"],
      kind: "notes",
      sha256: createHash("sha256").update(data).digest("hex"),
      modified_at: 1_700_000_000_000,
    });
  }
});

test("as many go together as half a MiB has room for, and larger files go alone", async () => {
  const { gate, batch } = await waiting(12, 60_000);
  batch.add(files(3, TINY));
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 15 });
  expect(peer.together.map(({ length }) => length)).toEqual([8, 2]);
  expect(peer.heard.filter((heard) => heard === ALONE)).toHaveLength(5);
});

test("one that is refused leaves the others as they are, and has its own reason", async () => {
  peer.refuseFile = (name) => (name === "f7.txt" ? { code: "quota-exceeded", limit: 1, used: 1 } : undefined);
  const { gate, batch } = await waiting(20);
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 19, failed: 1 });
  expect(batch.failures.map(({ file, error }) => [file.name, error.code, error.facts["limit"]])).toEqual([["f7.txt", "quota-exceeded", 1]]);
  peer.refuseFile = () => undefined;
  batch.retry();
  expect(await batch.settled()).toMatchObject({ done: 20, failed: 0 });
  expect(names()).toEqual(expected(20));
});

test("one that was damaged on its way is sent again, and no other", async () => {
  let damaged = 0;
  peer.refuseFile = (name) => (name === "f7.txt" && damaged++ === 0 ? { code: "checksum-mismatch" } : undefined);
  const { gate, batch } = await waiting(20);
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 20 });
  expect([names(), damaged]).toEqual([expected(20), 1]);
});

test("an empty batch of answers is no success", async () => {
  const { gate, batch, request } = await together(4);
  request.answer(Response.json({ outcomes: [] }));
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 4 });
  expect(names()).toEqual(expected(4));
});

describe("when the answer is lost", () => {
  test("stored files are found, not stored twice", async () => {
    const { gate, batch, request } = await together(20);
    request.lose(true);
    await until(() => peer.together.length === 1);
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 20 });
    expect([names(), peer.together.length]).toEqual([expected(20), 1]);
  });

  test("files that are not there are sent again under the same key", async () => {
    const { gate, batch, request } = await together(20);
    request.lose(false);
    const again = await gate.nth(3);
    expect([again.what, again.key]).toEqual([TOGETHER, request.key]);
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 20 });
    expect(names()).toEqual(expected(20));
  });

  test("and the server is still busy with the request, it stores none of them twice", async () => {
    const { gate, batch, request } = await together(20);
    request.lose(false);
    const again = await gate.nth(3);
    again.answer(refuse(409, "in-progress", { retryable: true }));
    request.go(); // the server gets to it only now
    await until(() => peer.together.length === 1);
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 20, failed: 0 });
    expect([names(), peer.together.length]).toEqual([expected(20), 1]);
  });

  test("and some were refused, these have a new request when the first is over", async () => {
    peer.refuseFile = (name) => (name > "f5" ? { code: "unavailable", retryable: true } : undefined);
    const { gate, batch, request } = await together(9);
    request.lose(true);
    await until(() => peer.together.length === 1);
    peer.refuseFile = () => undefined;
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 9, failed: 0 });
    expect(names()).toEqual(expected(9));
  });
});

test("a server that is busy gets them again", async () => {
  const { gate, batch, request } = await together(20);
  request.answer(refuse(503, "unavailable", { retryable: true }));
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 20 });
  expect(names()).toEqual(expected(20));
});

describe("a request that is refused as a whole", () => {
  test.each([
    ["by an older server", () => refuse(405, "method-not-allowed")],
    ["by a proxy that lets fewer bytes pass", () => new Response("too large", { status: 413 })],
    ["by a proxy that lets no such request pass", () => new Response("no", { status: 405 })],
  ])("%s is not tried again: each goes alone, five at once", async (_, refusal) => {
    const { gate, batch, request } = await together(40);
    request.answer(refusal());
    await gate.nth(7);
    await settle();
    expect(gate.seen.slice(3)).toEqual(Array(5).fill(ALONE));
    gate.release();
    batch.add(files(400).slice(40));
    expect(await batch.settled()).toMatchObject({ done: 400, failed: 0 });
    expect([names(), peer.together]).toEqual([expected(400), []]);
  });

  test("as malformed is the fault of one: each goes alone, and others go together", async () => {
    const { gate, batch, request } = await together(10);
    request.answer(refuse(400, "invalid-argument"));
    await gate.nth(7);
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 10, failed: 0 });
    gate.hold();
    const before = gate.asked.length;
    await add(batch, files(30).slice(10));
    await gate.nth(before + 1);
    await settle();
    gate.release();
    expect(await batch.settled()).toMatchObject({ done: 30, failed: 0 });
    expect([names(), peer.together.map(({ length }) => length)]).toEqual([expected(30), [18]]);
  });

  test("for the credential fails its files, and the others wait", async () => {
    const { batch, request, gate } = await together(200);
    request.answer(refuse(401, "unauthorized"));
    await until(() => batch.totals.failed > 0);
    await settle();
    expect([batch.state, batch.totals.done + batch.totals.failed, gate.seen.length]).toEqual(["paused", 130, 3]);
    gate.release();
    batch.resume();
    batch.retry();
    expect(await batch.settled()).toMatchObject({ done: 200, failed: 0 });
    expect(names()).toEqual(expected(200));
  });
});

describe("cancelling", () => {
  test("one that waits takes it out before it is sent", async () => {
    const { gate, batch } = await waiting(9);
    await batch.cancel(batch.running.find(({ file }) => file.name === "f5.txt"));
    gate.release();
    expect(await batch.settled()).toMatchObject({ files: 8, done: 8 });
    expect([names(), peer.count("DELETE")]).toEqual([expected(9).filter((name) => name !== "f5.txt"), 0]);
  });

  test("one that is under way deletes it when it is stored, and no other", async () => {
    const { gate, batch } = await together(9);
    const cancelled = batch.cancel(batch.running.find(({ file }) => file.name === "f5.txt"));
    await settle();
    gate.release();
    await cancelled;
    expect(await batch.settled()).toMatchObject({ files: 8, done: 8 });
    expect([names(), peer.count("DELETE")]).toEqual([expected(9).filter((name) => name !== "f5.txt"), 1]);
  });

  test("all of them leaves nothing but what was done", async () => {
    const { gate, batch } = await together(300);
    await until(() => batch.totals.done === 2);
    const cancelled = batch.cancel();
    await settle();
    gate.release();
    await cancelled;
    await settle();
    expect([names().length, batch.totals.done, batch.underWay]).toEqual([2, 2, false]);
    expect(peer.together.map(({ length }) => length)).toEqual([128, 128]); // what had not begun was not sent
  });
});

describe("pausing", () => {
  test("all lets those under way finish, and sends no more", async () => {
    const { gate, batch } = await together(300);
    batch.pause();
    gate.release();
    await until(() => batch.totals.done === 130);
    await settle();
    expect([batch.totals.done, peer.together.length]).toEqual([130, 1]);
    batch.resume();
    expect(await batch.settled()).toMatchObject({ done: 300 });
    expect(names()).toEqual(expected(300));
  });

  test("one that waits keeps it back", async () => {
    const { gate, batch } = await waiting(9);
    const one = batch.running.find(({ file }) => file.name === "f5.txt")!;
    batch.pause(one);
    gate.release();
    await until(() => batch.totals.done === 8);
    await settle();
    expect([one.state, names()]).toEqual(["paused", expected(9).filter((name) => name !== "f5.txt")]);
    batch.resume(one);
    expect(await batch.settled()).toMatchObject({ done: 9 });
    expect(names()).toEqual(expected(9));
  });

  test("one that is under way stores it once all the same", async () => {
    const { gate, batch } = await together(9);
    const one = batch.running.find(({ file }) => file.name === "f5.txt")!;
    batch.pause(one);
    await settle();
    gate.release();
    await until(() => batch.totals.done === 8);
    batch.resume(one);
    expect(await batch.settled()).toMatchObject({ done: 9 });
    expect(names()).toEqual(expected(9));
  });
});

describe("after a reload in the middle", () => {
  beforeEach(() => {
    const kept = new Map<string, string>();
    vi.stubGlobal("sessionStorage", {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => kept.set(name, value),
      removeItem: (name: string) => kept.delete(name),
    });
  });
  afterEach(() => void vi.unstubAllGlobals());

  test("the same files are looked for when the server has ended the request of the page before", async () => {
    const { request } = await together(20);
    const probes: Array<[key: string | null, bytes: number]> = [];
    const asked = async (address: unknown, init: RequestInit = {}): Promise<Response> => {
      const key = new Headers(init.headers).get("Idempotency-Key");
      if (key !== request.key) return peer.fetch(address, init);
      probes.push([key, (init.body as Uint8Array).length]);
      if (probes.length > 1) return peer.fetch(address, init);
      expect(peer.heard.slice(heard)).toEqual([]); // nothing was looked for yet
      request.go();
      return refuse(409, "in-progress", { retryable: true });
    };
    const heard = peer.heard.length;
    const again = batchOf({ fetch: asked as typeof globalThis.fetch });
    again.add(files(20));
    expect(await again.settled()).toMatchObject({ done: 20, skipped: 20 });
    expect([names(), probes]).toEqual([expected(20), [[request.key, 0], [request.key, 0]]]);
    // It is asked about once.
    const third = batchOf({ fetch: asked as typeof globalThis.fetch });
    third.add(files(20));
    await third.settled();
    expect(probes).toHaveLength(2);
  });

  test("and a request that never arrived keeps nothing waiting", async () => {
    await together(20);
    const again = batchOf();
    again.add(files(20));
    expect(await again.settled()).toMatchObject({ done: 20, skipped: 2 });
    expect(names()).toEqual(expected(20));
  });
});

test("a grant's bearer sends each as an upload of its own, five at once", async () => {
  const batch = batchOf({ token: "lg_token" });
  batch.add(files(20));
  expect(await batch.settled()).toMatchObject({ done: 20, failed: 0 });
  expect([names(), peer.count("POST"), peer.count("CREATE")]).toEqual([expected(20), 0, 20]);
});

test("each waits for the decision of a site that approves files first", async () => {
  const { gate, batch, request } = await together(6);
  const ids = [2, 3, 4, 5].map((each) => `6b0179176249a43ed26a4b6${each}`);
  const asked: string[] = [];
  peer.answer = (method, path) => {
    const id = ids.find((each) => path === `/v1/uploads/${each}/finish`);
    if (method !== "POST" || id === undefined) return undefined;
    asked.push(id);
    return id === ids[1] ? refuse(403, "rejected") : Response.json({ _id: id, size: 9, mime_type: "text/plain", crc32c: 0, state: "ready" });
  };
  request.answer(Response.json({ outcomes: ids.map((_id) => ({ file: { _id, state: "approving" } })) }));
  gate.release();
  expect(await batch.settled()).toMatchObject({ done: 5, failed: 1 });
  expect([asked.sort(), batch.failures[0]?.error]).toEqual([ids, code("rejected")]);
});
