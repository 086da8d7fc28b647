import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { openAsBlob } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Emitter } from "../src/emitter.js";
import { type Manifest, Upload, type UploadOptions } from "../src/index.js";
import type { Uploadable } from "../src/source.js";
import { Peer, refuse } from "./peer.js";
import { Clock, Plug, settle, someBytes, until, when } from "./steps.js";

const BYTES = someBytes(47);
const FILE = new File([BYTES], "film.mp4", { lastModified: 1_700_000_000_000 });

let peer: Peer;
beforeEach(() => {
  peer = new Peer();
});

function uploadOf(source: Uploadable = FILE, options: Partial<UploadOptions> = {}): Upload {
  const { url, WebSocket, fetch } = peer;
  return new Upload(source, { url, WebSocket, fetch, random: () => 0, ...options });
}

/** An upload that has begun, with everything that it tells. */
function begun(source?: Uploadable, options?: Partial<UploadOptions>) {
  const upload = uploadOf(source, options);
  const states: string[] = [];
  const progress: number[] = [];
  upload.on("state", (state) => states.push(state));
  upload.on("progress", ({ stored }) => progress.push(stored));
  return { upload, states, progress, end: upload.start() };
}

/** Do something at the n-th message of a kind, instead of what the peer does. */
function at(
  number: number,
  nth: number,
  act: (socket: Peer["socket"], items: unknown[]) => void,
): void {
  let seen = 0;
  peer.look = (items, socket) => {
    if (items[0] !== number || ++seen !== nth) return false;
    act(socket, items);
    return true;
  };
}

const [CREATE, RESUME, CHUNK, FINISH, PING] = [2, 3, 4, 5, 9];

function code(expected: string) {
  return expect.objectContaining({ code: expected }) as unknown;
}

describe.each(["websocket", "http"] as const)("over %s", (transport) => {
  test("every byte arrives, and the end is told last", async () => {
    const { upload, states, end } = begun(FILE, { transport, directory: "d", tags: ["x"] });
    const manifest: Manifest = await end;
    expect(peer.bytes).toEqual(BYTES);
    expect(states).toEqual(["connecting", "uploading", "verifying", "done"]);
    expect(manifest).toMatchObject({ id: upload.id, name: "film.mp4", size: 47 });
    expect(manifest.url).toBe(`${peer.url}/v1/files/${upload.id}`);
    const [{ wish } = { wish: {} }] = [...peer.uploads.values()];
    expect(wish).toMatchObject({ name: "film.mp4", size: 47, directory: "d", tags: ["x"] });
  });

  test("an empty file is a file", async () => {
    await begun(new File([], "empty"), { transport }).end;
    expect(peer.count("CHUNK") + peer.count("PUT")).toBe(0);
  });

  test("progress ends with the file's size and never goes back", async () => {
    const { progress, end } = begun(FILE, { transport });
    await end;
    expect(progress.at(-1)).toBe(47);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  test("what an earlier start stored is not sent again", async () => {
    const first = begun(FILE, { transport });
    await when(first.upload, 20, () => first.upload.pause());
    await settle();
    const sent = peer.count("CHUNK") + peer.count("PUT");
    const { upload, end } = begun(FILE, { transport });
    await end;
    expect(upload.id).toBe(first.upload.id);
    expect(upload.resumedFrom).toBeGreaterThanOrEqual(20);
    expect(peer.count("CHUNK") + peer.count("PUT") - sent).toBeLessThanOrEqual(3);
    expect(peer.bytes).toEqual(BYTES);
  });

  test("with `fingerprint: null` it begins anew", async () => {
    await begun(FILE, { transport, fingerprint: null }).end;
    const { upload } = begun(FILE, { transport, fingerprint: null });
    await until(() => upload.state === "done");
    expect(peer.uploads.size).toBe(2);
    expect(peer.count("GET /v1/uploads")).toBe(0);
  });

  test("an id is gone on with", async () => {
    const kept = peer.create({ name: "film.mp4", size: 47 });
    kept.pieces.set(0, BYTES.slice(0, 10));
    const { upload, end } = begun(FILE, { transport, id: kept.id });
    await end;
    expect([upload.id, upload.resumedFrom, peer.uploads.size]).toEqual([kept.id, 10, 1]);
  });

  test("what is finished already is done", async () => {
    const kept = peer.create({ name: "film.mp4", size: 47 });
    kept.state = "ready";
    await begun(FILE, { transport, id: kept.id }).end;
    expect(peer.count("CHUNK") + peer.count("PUT")).toBe(0);
  });

  test("a stream of unknown length arrives whole, piece by piece", async () => {
    async function* blocks() {
      for (let start = 0; start < 47; start += 6) {
        await settle();
        yield BYTES.subarray(start, start + 6);
      }
    }
    const { upload, end } = begun(blocks(), { transport, name: "recording.webm" });
    expect(upload.size).toBeNull();
    await end;
    expect(peer.bytes).toEqual(BYTES);
    expect([...peer.uploads.values()][0]?.pieces.size).toBe(5);
    expect(upload.size).toBe(47);
  });

  test("a browser's stream that cannot be iterated is read all the same", async () => {
    const stream = new Blob([BYTES]).stream();
    const plain = { getReader: () => stream.getReader() };
    await begun(plain as unknown as ReadableStream<Uint8Array>, {
      transport,
      name: "recording.webm",
    }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("a stream of nothing is an empty file", async () => {
    const { upload, end } = begun(new Blob([]).stream(), { transport, name: "recording.webm" });
    expect((await end).size).toBe(0);
    expect([upload.state, peer.bytes.length]).toEqual(["done", 0]);
  });

  test("an earlier start that is deleted meanwhile is begun anew", async () => {
    const first = begun(FILE, { transport });
    await when(first.upload, 10, () => first.upload.pause());
    const second = begun(FILE, { transport });
    await when(second.upload, 20, () => peer.uploads.clear());
    await second.end;
    expect(peer.bytes).toEqual(BYTES);
    expect(second.upload.resumedFrom).toBe(0);
  });

  test("a token that cannot be had is the network's fault", async () => {
    const token = (): never => {
      throw new TypeError("Failed to fetch");
    };
    const { end } = begun(FILE, { transport, token, patience: 0 });
    await expect(end).rejects.toEqual(code("network"));
  });

  test("a stream that breaks fails the upload", async () => {
    async function* blocks() {
      yield BYTES;
      await settle();
      throw new Error("the camera is gone");
    }
    const { upload, end } = begun(blocks(), { transport, name: "recording.webm" });
    await expect(end).rejects.toEqual(code("source-failed"));
    expect(upload.state).toBe("failed");
  });

  test("pieces that the server misses at the end are sent", async () => {
    let lied = false;
    const lie = (): void => {
      if (!lied) [...peer.uploads.values()][0]!.pieces.delete(20);
      lied = true;
    };
    peer.look = ([number]) => void (number === FINISH && lie());
    peer.answer = (_, path) => void (path.endsWith("finish") && lie());
    const { upload, end } = begun(FILE, { transport });
    await end;
    expect([peer.bytes, upload.stored]).toEqual([BYTES, 47]);
  });

  test("pausing stops, resuming goes on by what is missing", async () => {
    const { upload, states, end } = begun(FILE, { transport });
    await when(upload, 10, () => upload.pause());
    await settle();
    const heard = peer.heard.length;
    await settle();
    expect([upload.state, peer.heard.length]).toEqual(["paused", heard]);
    upload.resume();
    await end;
    expect(peer.bytes).toEqual(BYTES);
    expect(states).toContain("paused");
    expect(peer.uploads.size).toBe(1);
  });

  test("cancelling deletes on the server", async () => {
    const { upload, states, end } = begun(FILE, { transport });
    await when(upload, 10, () => void upload.cancel());
    await upload.cancel();
    await expect(end).rejects.toEqual(code("cancelled"));
    expect([upload.state, peer.uploads.size]).toEqual(["cancelled", 0]);
    expect(states.at(-1)).toBe("cancelled");
    expect(peer.count("ABORT")).toBe(transport === "websocket" ? 1 : 0);
  });

  test("a token that is refused is renewed, and the upload goes on", async () => {
    peer.tokens = new Set(["good"]);
    const reasons: string[] = [];
    const token = (reason: string): string => {
      reasons.push(reason);
      return reasons.length === 1 ? "old" : "good";
    };
    await begun(FILE, { transport, token }).end;
    expect(reasons).toEqual(["first", "refused"]);
    expect(peer.bytes).toEqual(BYTES);
  });

  test("a token that cannot be renewed fails the upload", async () => {
    peer.tokens = new Set(["good"]);
    const { upload, end } = begun(FILE, { transport, token: "bad" });
    await expect(end).rejects.toEqual(code("unauthorized"));
    expect(upload.lastError?.message).toBe(
      "The server does not accept the credential; sign in again, then retry.",
    );
  });

  test("without a token the page's cookie is left to count", async () => {
    let said: unknown;
    peer.look = (items) => void (items[0] === 1 && (said = items[1]));
    await begun(FILE, { transport }).end;
    if (transport === "websocket") expect(said).not.toHaveProperty("token");
  });
});

describe("over WebSocket", () => {
  test("the window bounds what is on its way", async () => {
    await begun().end;
    expect(peer.mostInFlight).toBe(20);
  });

  test("bytes count when they are acknowledged, not when they are sent", async () => {
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun();
    await until(() => peer.count("CHUNK") === 2);
    await settle();
    expect([upload.stored, upload.state]).toEqual([0, "uploading"]);
  });

  test("a browser's own WebSocket is given slices of the file, another one bytes", async () => {
    const sent: unknown[] = [];
    class Spied extends peer.WebSocket {
      override send(data: Uint8Array<ArrayBuffer> | Blob): void {
        sent.push(data instanceof Blob ? "blob" : "bytes");
        super.send(data);
      }
    }
    await begun(FILE, { WebSocket: Spied, fingerprint: null }).end;
    expect(new Set(sent)).toEqual(new Set(["bytes"]));
    vi.stubGlobal("WebSocket", Spied);
    try {
      await begun(FILE, { WebSocket: undefined, fingerprint: null }).end;
    } finally {
      vi.unstubAllGlobals();
    }
    expect(sent.filter((kind) => kind === "blob")).toHaveLength(5);
    const [first, second] = [...peer.uploads.values()];
    expect(second?.pieces).toEqual(first?.pieces);
  });

  test("a piece waits until the socket has room for it", async () => {
    const clock = new Clock();
    peer.look = ([number], socket) => void (number === CREATE && (socket.bufferedAmount = 5e6));
    const { upload, end } = begun(FILE, { ...clock });
    await until(() => upload.state === "uploading");
    await clock.advance(2000);
    expect(peer.count("CHUNK")).toBe(0);
    peer.socket.bufferedAmount = 0;
    await clock.advance(1000);
    await end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("it is done only when the server said so", async () => {
    peer.look = ([number]) => number === FINISH;
    const { upload } = begun();
    await until(() => peer.count("FINISH"));
    await settle();
    expect([upload.stored, upload.state]).toEqual([47, "verifying"]);
    peer.socket.say(70, 0, peer.file(peer.socket.upload!));
    await until(() => upload.state === "done");
  });

  test.each([1001, 1006, 1011, 1012])(
    "a connection that ends with %i is made anew",
    async (end) => {
      at(CHUNK, 3, (socket) => socket.drop(end));
      await begun().end;
      expect([peer.count("CREATE"), peer.count("RESUME")]).toEqual([1, 1]);
      expect(peer.bytes).toEqual(BYTES);
    },
  );

  test("an upload whose creation was not answered is found, not made twice", async () => {
    at(CREATE, 1, (socket, [, , wish]) => {
      peer.create(wish as Record<string, unknown>);
      socket.drop();
    });
    await begun().end;
    expect([peer.uploads.size, peer.count("RESUME")]).toEqual([1, 1]);
  });

  test("a stream's creation that was not answered is found as well", async () => {
    at(CREATE, 1, (socket, [, , wish]) => {
      peer.create(wish as Record<string, unknown>).size = null;
      socket.drop();
    });
    const stream = new Blob([BYTES]).stream();
    await begun(stream, { name: "recording.webm" }).end;
    expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
  });

  test("a stream goes on after a connection was lost", async () => {
    at(CHUNK, 3, (socket) => socket.drop());
    const stream = new Blob([BYTES]).stream();
    await begun(stream, { name: "recording.webm" }).end;
    expect([peer.count("RESUME"), peer.bytes]).toEqual([1, BYTES]);
  });

  test("of a stream no more is read than the window and a piece", async () => {
    peer.look = ([number]) => number === CHUNK;
    let read = 0;
    async function* blocks() {
      for (;;) {
        read += 5;
        yield new Uint8Array(5);
        await Promise.resolve();
      }
    }
    const { upload } = begun(blocks(), { name: "endless" });
    await until(() => peer.count("CHUNK") === 2);
    await settle();
    expect(read).toBeLessThanOrEqual(20 + 10 + 5);
    await upload.cancel();
  });

  test("a damaged piece is sent again", async () => {
    at(CHUNK, 2, (socket, [, , start]) => socket.refuse(start as number, "checksum-mismatch"));
    await begun().end;
    expect([peer.count("CHUNK"), peer.bytes]).toEqual([6, BYTES]);
  });

  test("after GOAWAY it comes back", async () => {
    at(CHUNK, 2, (socket) => {
      socket.say(73, { reason: "restart", retry_after: 0 });
      socket.drop(1012);
    });
    await begun().end;
    expect([peer.count("RESUME"), peer.bytes]).toEqual([1, BYTES]);
  });

  test("a conflict is met with a fresh look, three times", async () => {
    peer.look = ([number, , start], socket) => {
      if (number !== CHUNK) return false;
      socket.refuse(start as number, "chunk-conflict");
      return true;
    };
    await expect(begun().end).rejects.toEqual(code("chunk-conflict"));
    expect(peer.count("RESUME")).toBe(3);
  });

  test("an upload that expired meanwhile is begun anew, once", async () => {
    at(CHUNK, 2, (socket, [, , start]) => socket.refuse(start as number, "gone"));
    await begun().end;
    expect(peer.count("CREATE")).toBe(2);
  });

  test("a digest that differs is met with a fresh upload, once", async () => {
    peer.look = ([number], socket) => {
      if (number === FINISH) socket.problem(0, "checksum-mismatch");
      return number === FINISH;
    };
    await expect(begun(FILE, { sha256: "0".repeat(64) }).end).rejects.toEqual(
      code("checksum-mismatch"),
    );
    expect([peer.count("CREATE"), peer.count("DELETE")]).toEqual([2, 1]);
  });

  test("what is refused for good is told with its facts", async () => {
    at(CREATE, 1, (socket) => socket.problem(0, "quota-exceeded", { limit: 40, used: 10 }));
    const { upload, end } = begun();
    const told: unknown[] = [];
    upload.on("error", (error) => told.push(error));
    await expect(end).rejects.toMatchObject({
      code: "quota-exceeded",
      facts: { limit: 40, used: 10 },
    });
    expect(told).toEqual([upload.lastError]);
    expect(upload.state).toBe("failed");
  });

  test("after a failure it can be started again", async () => {
    at(CREATE, 1, (socket) => socket.problem(0, "quota-exceeded"));
    const { upload, end } = begun();
    await expect(end).rejects.toThrow();
    await upload.start();
    expect(peer.bytes).toEqual(BYTES);
  });

  test("messages that are none fail it after some attempts", async () => {
    peer.look = ([number], socket) => {
      if (number === CREATE) socket.say(99);
      return number === CREATE;
    };
    await expect(begun().end).rejects.toEqual(code("invalid-message"));
    expect(peer.sockets.length).toBe(6);
  });

  test("two uploads of one file at once both finish, by one upload", async () => {
    const first = begun();
    let second: Promise<Manifest> | undefined;
    let held = true;
    // The first waits with its end until the second has found what there is.
    peer.look = ([number]) => {
      if (number === RESUME) held = false;
      return number === FINISH && held;
    };
    await when(first.upload, 10, () => (second = begun().end));
    await until(() => !held);
    peer.sockets[0]?.drop();
    expect((await first.end).id).toBe((await second)?.id);
    expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
  });

  test("a token is replaced before it expires", async () => {
    const now = 1_700_000_000_000;
    const jwt = (expiry: number): string => `h.${btoa(JSON.stringify({ exp: expiry / 1000 }))}.s`;
    const reasons: string[] = [];
    const token = (reason: string): string => {
      reasons.push(reason);
      return jwt(now + (reasons.length === 1 ? 70_000 : 36_000_000));
    };
    peer.look = ([number]) => number === FINISH;
    // Only the sleep until 30 s before the expiry ends.
    const sleep = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => (milliseconds === 40_000 ? resolve() : undefined));
    const { upload } = begun(FILE, { token, sleep, now: () => now });
    await until(() => peer.count("TOKEN"));
    expect(reasons).toEqual(["first", "expiring"]);
    expect(peer.sockets.length).toBe(1);
    upload.pause();
  });
});

describe("time", () => {
  test("PING is sent when there is nothing else to say; silence ends the connection", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === CHUNK || number === PING;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(19_000);
    expect(peer.count("PING")).toBe(0);
    await clock.advance(2_000);
    expect(peer.count("PING")).toBe(1);
    await clock.advance(41_000);
    expect([peer.sockets.length, peer.sockets[0]?.closed]).toEqual([2, true]);
    expect(upload.lastError?.code).toBe("network");
    await upload.cancel();
  });

  test("the server's rhythm counts from the beginning", async () => {
    const clock = new Clock();
    peer.heartbeat = 2;
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(10_000);
    expect([peer.count("PING"), peer.sockets.length]).toEqual([5, 1]);
    await upload.cancel();
  });

  test("signs of life from the server keep the connection", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(200_000);
    expect(peer.sockets.length).toBe(1);
    expect(peer.count("PING")).toBe(10);
    await upload.cancel();
  });

  test("a server that does not greet is left after 10 s", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === 1;
    const { upload } = begun(FILE, { ...clock, transport: "websocket" });
    await until(() => peer.count("HELLO"));
    await clock.advance(11_000);
    expect(peer.count("HELLO")).toBe(2);
    void upload.cancel();
  });

  test("without any progress patience runs out", async () => {
    const clock = new Clock();
    const fetch = (): Promise<Response> => Promise.reject(new TypeError("Failed to fetch"));
    const { upload, end } = begun(FILE, { ...clock, fetch, patience: 60 });
    let failed = false;
    end.catch(() => (failed = true));
    await until(() => upload.lastError);
    await clock.advance(20_000);
    expect([failed, upload.state, upload.lastError?.code]).toEqual([
      false,
      "connecting",
      "network",
    ]);
    await clock.advance(80_000);
    await expect(end).rejects.toEqual(code("network"));
  });

  test("offline it waits, as long as it takes, and goes on by itself", async () => {
    const clock = new Clock();
    const network = new Plug();
    at(CHUNK, 3, () => network.set(false));
    const { upload, states, end } = begun(FILE, { ...clock, network, patience: 1 });
    await until(() => upload.state === "offline");
    expect(upload.lastError?.code).toBe("network");
    const { fetch } = peer;
    Object.assign(peer, { look: (_: unknown, socket: Peer["socket"]) => (socket.drop(), true) });
    await clock.advance(600_000);
    expect(upload.state).toBe("offline");
    Object.assign(peer, { fetch, look: () => false });
    network.set(true);
    await settle();
    await end;
    expect(peer.bytes).toEqual(BYTES);
    expect(states.slice(0, 4)).toEqual(["connecting", "uploading", "offline", "connecting"]);
  });

  test("pausing while it waits ends the waiting, resuming tries at once", async () => {
    const clock = new Clock();
    const { fetch } = peer;
    peer.answer = () => refuse(503, "unavailable", { retryable: true });
    const { upload, end } = begun(FILE, { ...clock, fetch });
    await until(() => upload.lastError !== null);
    upload.pause();
    peer.answer = () => undefined;
    await clock.advance(30_000);
    expect(upload.state).toBe("paused");
    upload.resume();
    await end;
  });
});

describe("the way", () => {
  const blocked = class {
    constructor() {
      throw new DOMException("Refused to connect: it violates the policy", "SecurityError");
    }
  } as unknown as Peer["WebSocket"];

  test("is plain HTTP where a policy refuses WebSocket", async () => {
    await begun(FILE, { WebSocket: blocked }).end;
    expect([peer.count("PUT"), peer.bytes]).toEqual([5, BYTES]);
  });

  test("is plain HTTP where a proxy does not let WebSocket through", async () => {
    const { WebSocket } = peer;
    const dropping = class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        queueMicrotask(() => this.drop());
        this.onopen = null;
        Object.defineProperty(this, "onopen", { set: () => undefined, get: () => null });
      }
    };
    await begun(FILE, { WebSocket: dropping }).end;
    expect([peer.count("PUT"), peer.bytes]).toEqual([5, BYTES]);
  });

  test("stays WebSocket where nothing else is wanted", async () => {
    const { end } = begun(FILE, { WebSocket: blocked, transport: "websocket", patience: 0 });
    await expect(end).rejects.toEqual(code("network"));
    expect(peer.count("PUT")).toBe(0);
  });

  test("keeps HTTP pieces that were refused for another time", async () => {
    let refusals = 0;
    peer.answer = (method) =>
      method === "PUT" && refusals++ < 2
        ? refuse(507, "storage-full", { retryable: true })
        : undefined;
    await begun(FILE, { transport: "http" }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("sends HTTP pieces again that arrived damaged", async () => {
    let damaged = 0;
    peer.answer = (method) =>
      method === "PUT" && damaged++ < 1 ? refuse(422, "checksum-mismatch") : undefined;
    await begun(FILE, { transport: "http" }).end;
    expect([peer.bytes, peer.count("POST /v1/uploads")]).toEqual([BYTES, 2]);
  });
});

describe("cancelling", () => {
  test("before it began asks the server nothing", async () => {
    const upload = uploadOf();
    await upload.cancel();
    expect([upload.state, peer.heard]).toEqual(["cancelled", []]);
    await expect(upload.start()).rejects.toEqual(code("cancelled"));
  });

  test("while paused deletes by plain HTTP", async () => {
    const { upload } = begun();
    await when(upload, 10, () => upload.pause());
    await upload.cancel();
    expect([peer.count("DELETE"), peer.uploads.size]).toEqual([1, 0]);
  });

  test("while the creation is not answered finds and deletes it", async () => {
    at(CREATE, 1, (_, [, , wish]) => void peer.create(wish as Record<string, unknown>));
    const { upload } = begun();
    await until(() => peer.count("CREATE"));
    await upload.cancel();
    expect(peer.uploads.size).toBe(0);
  });

  test("while the server checks deletes the file that came of it", async () => {
    peer.look = ([number], socket) => {
      if (number !== FINISH) return number === RESUME;
      socket.upload!.state = "ready";
      socket.drop();
      return true;
    };
    const { upload } = begun(FILE, { fingerprint: null });
    await until(() => peer.count("RESUME"));
    await upload.cancel();
    expect([peer.count("DELETE /v1/files"), peer.uploads.size]).toEqual([1, 0]);
  });

  test("is tried again while the server does not answer", async () => {
    const { upload } = begun();
    await when(upload, 10, () => upload.pause());
    let refusals = 0;
    peer.answer = (method) =>
      method === "DELETE" && refusals++ < 3
        ? refuse(503, "unavailable", { retryable: true })
        : undefined;
    await upload.cancel();
    expect([refusals, peer.uploads.size]).toEqual([4, 0]);
  });

  test("does nothing to what is done", async () => {
    const { upload, end } = begun();
    await end;
    await upload.cancel();
    expect([upload.state, peer.uploads.size]).toEqual(["done", 1]);
  });
});

describe("a file on disk", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lading-widget-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function blob(): Promise<Blob> {
    await writeFile(join(folder, "film.mp4"), BYTES);
    return openAsBlob(join(folder, "film.mp4"));
  }

  test("is uploaded", async () => {
    await begun(await blob(), { name: "film.mp4" }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test.each([
    ["changes", () => writeFile(join(folder, "film.mp4"), "other bytes than before")],
    ["vanishes", () => unlink(join(folder, "film.mp4"))],
  ])("that %s meanwhile fails the upload with a clear word", async (_, harm) => {
    const source = await blob();
    peer.look = ([number]) => number === CHUNK;
    const { upload, end } = begun(source, { name: "film.mp4" });
    await until(() => peer.count("CHUNK") === 2);
    await harm();
    peer.look = () => false;
    peer.socket.drop();
    await expect(end).rejects.toEqual(code("source-changed"));
    expect(upload.lastError?.message).toMatch(/changed, moved or deleted .* choose it again/);
  });

  test("of another size than its upload is not taken for the same", async () => {
    const kept = peer.create({ name: "film.mp4", size: 46 });
    const { end } = begun(FILE, { id: kept.id });
    await expect(end).rejects.toEqual(code("source-changed"));
  });
});

test("without a name there is no upload", () => {
  expect(() => uploadOf(new Blob([BYTES]))).toThrow(TypeError);
});

test("a hearer that throws harms nobody else, and is told as any error of the page's", async () => {
  const thrown: Array<() => void> = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) => void thrown.push(task));
  const emitter = new Emitter<{ event: number }>();
  const heard: number[] = [];
  const stop = emitter.on("event", () => {
    throw new Error("a fault of the page's");
  });
  emitter.on("event", (value) => heard.push(value));
  emitter.tell("event", 1);
  stop();
  emitter.tell("event", 2);
  vi.unstubAllGlobals();
  expect(heard).toEqual([1, 2]);
  expect(thrown).toHaveLength(1);
  expect(thrown[0]).toThrow("a fault of the page's");
});
