/** Uploads past the server: the bytes go to a bucket, and to the server where that fails. */

import { afterEach, describe, expect, test, vi } from "vitest";

import { settle, until } from "../support/helpers.js";
import { refuse } from "../support/peer.js";
import { begun, BYTES, code, FILE, losingFirstPost, peer } from "../support/uploads.js";

const DIRECT = { direct: true, directory: "d", tags: ["x"] };
const ANNOUNCED = "POST /v1/media";

/** What S3 answers with status 400 where the bytes came too slowly. */
const SLOW = "<Error><Code>RequestTimeout</Code></Error>";

/** How many pieces came to the server itself. */
const pieces = (): number => peer.count("CHUNK") + peer.count("PUT");

const only = () => [...peer.uploads.values()][0]!;

afterEach(() => expect([...peer.bucket.credentials].filter(Boolean)).toEqual([]));

describe.each([
  ["whole", 1000],
  ["in parts", 20],
])("%s", (_, largestPut) => {
  test("the bytes go past the server", async () => {
    peer.bucket.largestPut = largestPut;
    const { upload, states, progress, end } = begun(FILE, { ...DIRECT, token: "good" });
    const manifest = await end;
    expect([peer.bytes, pieces(), peer.sockets.length]).toEqual([BYTES, 0, 0]);
    expect(only().request).toMatchObject({ name: "film.mp4", size: 47, directory: "d", tags: ["x"] });
    expect(only().request["fingerprint"]).toMatch(/^file-1:47:/);
    expect(states).toEqual(["connecting", "uploading", "verifying", "done"]);
    expect([progress.at(0), progress.at(-1)]).toEqual([0, 47]);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(manifest).toMatchObject({ id: upload.id, name: "film.mp4", size: 47 });
  });

  test("a bucket that fails for a moment is tried again", async () => {
    peer.bucket.largestPut = largestPut;
    const answers = [503, 500, 503];
    peer.bucket.answer = () => answers.pop();
    await begun(FILE, DIRECT).end;
    expect([peer.bytes, pieces()]).toEqual([BYTES, 0]);
  });

  test.each([408, 429, [400, SLOW] as const])("a bucket that answers %s for a moment is tried again", async (answer) => {
    peer.bucket.largestPut = largestPut;
    const answers = [answer, answer];
    peer.bucket.answer = () => answers.pop();
    await begun(FILE, DIRECT).end;
    expect([peer.bytes, pieces()]).toEqual([BYTES, 0]);
  });

  test.each([
    ["refuses the bytes", () => 403],
    ["refuses the request", () => [400, "<Error><Code>ExpiredToken</Code></Error>"] as const],
    ["cannot be reached", () => { throw new TypeError("Failed to fetch"); }],
  ])("a bucket that %s: the server takes them", async (_what, answer) => {
    peer.bucket.largestPut = largestPut;
    peer.bucket.answer = answer;
    const { upload, end } = begun(FILE, { ...DIRECT, sleep: () => Promise.resolve() });
    await end;
    expect([peer.bytes, peer.uploads.size, peer.count("CREATE")]).toEqual([BYTES, 1, 0]);
    expect(only().id).toBe(upload.id);
  });

  test("what is lost in between is sent again, and nothing twice", async () => {
    peer.bucket.largestPut = largestPut;
    let lost = 0;
    peer.answer = (_method, path) => {
      if (path.endsWith("/finalize") && lost++ === 0) throw new TypeError("Failed to fetch");
      return undefined;
    };
    await begun(FILE, DIRECT).end;
    expect([peer.bytes, peer.uploads.size, peer.count(ANNOUNCED)]).toEqual([BYTES, 1, 3]);
    expect(new Set(peer.bucket.heard).size).toBe(peer.bucket.heard.length);
  });

  test("nothing is sent again after the server joined the bytes and failed to publish them", async () => {
    peer.bucket.largestPut = largestPut;
    let failed = 0;
    peer.bucket.joined = () => (failed++ === 0 ? refuse(503, "unavailable", { retryable: true }) : undefined);
    await begun(FILE, DIRECT).end;
    expect([peer.bytes, failed, pieces()]).toEqual([BYTES, 2, 0]);
    expect(new Set(peer.bucket.heard).size).toBe(peer.bucket.heard.length);
  });

  test("a long verification is asked for again, and its progress reported", async () => {
    peer.bucket.largestPut = largestPut;
    const done = [10, 30];
    peer.answer = (_method, path) => {
      const next = path.endsWith("/finalize") ? done.shift() : undefined;
      return next === undefined ? undefined : Response.json({ state: "verifying", done: next, total: 47 }, { status: 202 });
    };
    const { upload, end } = begun(FILE, DIRECT);
    const verified = new Set<number>();
    upload.on("progress", (progress) => verified.add(progress.verified));
    await end;
    expect([...verified]).toEqual([0, 10, 30, 47]);
    expect(peer.bytes).toEqual(BYTES);
  });

  test("cancelling deletes the announcement", async () => {
    peer.bucket.largestPut = largestPut;
    const { upload, end } = begun(FILE, DIRECT);
    peer.bucket.answer = () => {
      void upload.cancel();
      return 503;
    };
    await expect(end).rejects.toEqual(code("cancelled"));
    await upload.cancel();
    expect(peer.uploads.size).toBe(0);
  });

  test("a pause stops it, and resuming continues", async () => {
    peer.bucket.largestPut = largestPut;
    const { upload, end } = begun(FILE, DIRECT);
    let asked = 0;
    peer.bucket.answer = () => {
      if (asked++ > 0) return undefined;
      upload.pause();
      return 503;
    };
    await until(() => upload.state === "paused");
    await settle();
    upload.resume();
    await end;
    expect([peer.bytes, pieces(), peer.uploads.size]).toEqual([BYTES, 0, 1]);
  });
});

/** An announcement that an earlier page left, without an answer to its end. */
async function left(): Promise<string> {
  const stop = new AbortController();
  peer.answer = (_, path) => {
    if (!path.endsWith("/finalize")) return undefined;
    stop.abort();
    throw new TypeError("Failed to fetch");
  };
  const { upload, end } = begun(FILE, { ...DIRECT, patience: 0 });
  await expect(end).rejects.toEqual(code("network"));
  peer.answer = () => undefined;
  peer.bucket.heard.length = 0;
  return upload.id!;
}

test("after a reload a file of one PUT that the bucket has is published", async () => {
  const id = await left();
  const { upload, end } = begun(FILE, DIRECT);
  await end;
  expect([upload.id, peer.bucket.heard, peer.bytes]).toEqual([id, [], BYTES]);
});

test("after a reload only the parts are sent that the bucket lacks", async () => {
  peer.bucket.largestPut = 20;
  const id = await left();
  for (const start of [10, 40]) peer.bucket.object(id).delete(start);
  const { upload, end } = begun(FILE, DIRECT);
  await end;
  expect(peer.bucket.heard.sort()).toEqual([`/${id}/10`, `/${id}/40`]);
  expect([upload.id, upload.resumedFrom, peer.bytes]).toEqual([id, 30, BYTES]);
});

test("after a reload without `direct` the server takes the bytes of the announcement", async () => {
  const id = await left();
  peer.bucket.objects.clear();
  const { upload, end } = begun(FILE, { directory: "d" });
  await end;
  expect([upload.id, peer.bytes, peer.uploads.size]).toEqual([id, BYTES, 1]);
});

test("an announcement of other bytes is replaced", async () => {
  const id = await left();
  only().request["sha256"] = "0".repeat(64);
  const { upload, end } = begun(FILE, DIRECT);
  await end;
  expect([peer.uploads.has(id), peer.uploads.size, upload.id === id]).toEqual([false, 1, false]);
  expect(peer.bytes).toEqual(BYTES);
});

test("an announcement whose answer was lost is found, not made twice", async () => {
  await begun(FILE, { ...DIRECT, fetch: losingFirstPost() }).end;
  expect([peer.uploads.size, peer.bytes, pieces()]).toEqual([1, BYTES, 0]);
});

test("what began at the server is completed there", async () => {
  const fingerprint = await begun(FILE, { ...DIRECT, direct: false }).end.then(() => only().request["fingerprint"]);
  peer.uploads.clear();
  const kept = peer.create({ name: "film.mp4", size: 47, directory: "d", fingerprint });
  kept.pieces.set(0, BYTES.slice(0, 10));
  const { upload, end } = begun(FILE, DIRECT);
  await end;
  expect([upload.id, upload.resumedFrom, peer.bucket.heard]).toEqual([kept.id, 10, []]);
});

test("bytes that are damaged in the bucket are announced and sent once more", async () => {
  let damaged = false;
  peer.answer = (_, path) => {
    if (!damaged && path.endsWith("/finalize")) {
      damaged = true;
      peer.bucket.object(only().id).set(0, BYTES.slice().reverse());
    }
    return undefined;
  };
  await begun(FILE, DIRECT).end;
  expect([peer.bytes, peer.bucket.heard.length, peer.uploads.size]).toEqual([BYTES, 2, 1]);
});

test("a bucket that a page cannot reach is not tried for its next file", async () => {
  peer.bucket.answer = () => {
    throw new TypeError("Failed to fetch");
  };
  const options = { ...DIRECT, sleep: () => Promise.resolve() };
  await begun(FILE, options).end;
  const tried = peer.bucket.heard.length;
  expect(tried).toBeGreaterThan(2);
  await begun(new File([BYTES], "next.mp4"), options).end;
  expect([peer.bucket.heard.length, peer.count(ANNOUNCED), peer.uploads.size]).toEqual([tried, 1, 2]);
});

test("without a bucket the server takes the bytes of the announcement", async () => {
  peer.bucket.media = async () =>
    Response.json({
      media: peer.manifest([...peer.uploads.values()][0] ?? peer.create({ name: "film.mp4", size: 47 })),
      upload: { method: "PUT", url: "/v1/g/lg_token", headers: {}, expires_at: "2030-01-01T00:00:00Z" },
    });
  await begun(FILE, DIRECT).end;
  expect([peer.uploads.size, peer.bytes, peer.count("CREATE")]).toEqual([1, BYTES, 0]);
});

test.each([
  ["a grant", FILE, { token: "lg_token" }],
  ["a stream", new Blob([BYTES]).stream(), { name: "a" }],
])("%s goes through the server", async (_, source, options) => {
  await begun(source, { ...DIRECT, ...options }).end;
  expect([peer.bytes, peer.count(ANNOUNCED)]).toEqual([BYTES, 0]);
});

test("a refused announcement ends it with the server's code", async () => {
  peer.answer = (_, path) =>
    path === "/v1/media"
      ? Response.json({ code: "quota-exceeded" }, { status: 507, headers: { "Content-Type": "application/problem+json" } })
      : undefined;
  await expect(begun(FILE, DIRECT).end).rejects.toEqual(code("quota-exceeded"));
});

test("a server of an older version gets no fingerprint", async () => {
  const { media } = peer.bucket;
  peer.bucket.media = async (method, path, query, body) =>
    path === "/v1/media" && String(body).includes("fingerprint")
      ? refuse(400, "invalid-argument", { detail: "`fingerprint` is not a known field; did you mean `name`?" })
      : media.call(peer.bucket, method, path, query, body);
  await begun(FILE, DIRECT).end;
  expect([peer.bytes, peer.count(ANNOUNCED), pieces()]).toEqual([BYTES, 3, 0]);
});

test("a fingerprint that is refused is not left out", async () => {
  const detail = "`fingerprint` must have at most 200 characters.";
  peer.answer = (_, path) => (path === "/v1/media" ? refuse(400, "invalid-argument", { detail }) : undefined);
  await expect(begun(FILE, DIRECT).end).rejects.toEqual(code("invalid-argument"));
  expect(peer.count(ANNOUNCED)).toBe(1);
});

describe("a server of an older version, which does not allow `Prefer` to pages of other sites", () => {
  /** Do as a browser that asks such a server first. */
  const browser = async (address: unknown, init?: RequestInit): Promise<Response> => {
    if (!new Headers(init?.headers).has("Prefer")) return peer.fetch(address, init);
    asked += 1;
    throw new TypeError("Failed to fetch");
  };
  const options = { fetch: browser as typeof fetch, patience: 0 };
  let asked = 0;

  afterEach(() => {
    vi.unstubAllGlobals();
    asked = 0;
  });

  test.each([
    ["past the server", DIRECT],
    ["over HTTP", { transport: "http" }],
  ] as const)("publishes a file that came %s", async (_, how) => {
    vi.stubGlobal("location", { origin: "http://page.test" });
    await begun(FILE, { ...how, ...options }).end;
    expect([peer.bytes, asked]).toEqual([BYTES, 1]);
  });

  test("is asked without it only by such a page: elsewhere the network is lost", async () => {
    await expect(begun(FILE, { ...DIRECT, ...options }).end).rejects.toEqual(code("network"));
    expect(asked).toBe(1);
  });
});
