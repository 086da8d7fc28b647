/** When the client turns to tus, and what it makes of a server's answers. Real servers: `tests/server/tus.test.ts`. */

import { afterEach, describe, expect, test, vi } from "vitest";

import { Upload, type UploadOptions } from "../../src/index.js";
import { openSource } from "../../src/source/source.js";
import { Credential } from "../../src/transport/credential.js";
import { Api } from "../../src/transport/http.js";
import { Tus } from "../../src/transport/tus.js";
import { TusTransfer } from "../../src/transport/tus-transfer.js";
import { begun, BYTES, code, FILE, peer } from "../support/uploads.js";

const NEVER = new AbortController().signal;
const SPEAKS = {
  "Tus-Resumable": "1.0.0",
  "Tus-Version": "1.0.0",
  "Tus-Extension": "creation,creation-with-upload,termination,checksum",
  "Tus-Checksum-Algorithm": "md5,sha1,sha256",
};

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

type Answer = (asked: Asked) => Response | undefined;

let servers = 0;

/** A server that is none of Lading's. What `answer` does not answer is done right. */
class Foreign {
  readonly url = `http://foreign${++servers}.test/files/`;
  readonly asked: Asked[] = [];
  readonly bytes: number[] = [];
  answer: Answer = () => undefined;
  features: Record<string, string> = SPEAKS;

  readonly fetch = (async (address: string, init: RequestInit = {}): Promise<Response> => {
    const asked = { method: init.method ?? "GET", url: address, headers: new Headers(init.headers) };
    this.asked.push(asked);
    const answer = this.answer(asked);
    if (answer !== undefined) return answer;
    const body = init.body instanceof Blob ? [...new Uint8Array(await init.body.arrayBuffer())] : [];
    const status = { OPTIONS: 204, POST: 201, HEAD: 200, PATCH: 204, DELETE: 204 }[asked.method] ?? 404;
    if (asked.headers.get("Tus-Resumable") === null && asked.method !== "OPTIONS") {
      return new Response("Tus-Resumable Required", { status: 412 });
    }
    if (asked.method === "PATCH") this.bytes.push(...body);
    const own: Record<string, string> = asked.method === "OPTIONS" ? this.features : { Location: "/files/1" };
    return new Response(null, { status, headers: { ...own, "Upload-Offset": String(this.bytes.length) } });
  }) as typeof fetch;

  get methods(): string[] {
    return this.asked.map(({ method }) => method);
  }

  uploadOf(options: UploadOptions = {}, source: File = FILE): Upload {
    const { url, fetch } = this;
    return new Upload(source, { url, fetch, random: () => 0, patience: 1, fingerprint: null, ...options });
  }

  async tus(): Promise<Tus> {
    const tus = await Tus.discover(new Api(this.url, new Credential("secret"), this.fetch));
    return tus!;
  }
}

afterEach(() => vi.unstubAllGlobals());

test("a server that speaks tus gets the file, and is asked once what it speaks", async () => {
  const foreign = new Foreign();
  const options = { fingerprint: undefined, small: 100 };
  const { url } = await foreign.uploadOf(options).start();
  expect([url, foreign.bytes]).toEqual([new URL("1", foreign.url).href, [...BYTES]]);
  // The first request is the one by which a Lading server would get a small file.
  expect(foreign.methods).toEqual(["POST", "OPTIONS", "POST", "PATCH"]);
  foreign.bytes.length = 0;
  await foreign.uploadOf(options).start();
  expect(foreign.methods.slice(4)).toEqual(["POST", "PATCH"]);
});

test("a WebSocket that does not open is followed by the question what the server speaks", async () => {
  const foreign = new Foreign();
  const refused = class {
    constructor() {
      throw new DOMException("Refused to connect", "SecurityError");
    }
  } as unknown as UploadOptions["WebSocket"];
  await foreign.uploadOf({ WebSocket: refused }).start();
  expect(foreign.bytes).toEqual([...BYTES]);
});

describe("a Lading server is never spoken to by tus", () => {
  const spoken = (method: string): boolean => method === "OPTIONS";

  test("not even after a proxy or the network failed", async () => {
    const methods: string[] = [];
    let failures = 2;
    const troubled: typeof fetch = async (address, init) => {
      methods.push(init?.method ?? "GET");
      expect(new Headers(init?.headers).has("Tus-Resumable")).toBe(false);
      if (init?.method === "OPTIONS" || failures-- > 0) return new Response("<html>", { status: 502 });
      return peer.fetch(address, init);
    };
    await begun(FILE, { fetch: troubled }).end;
    expect(peer.bytes).toEqual(BYTES);
    methods.length = 0;
    failures = 0;
    peer.answer = () => Response.json({ code: "quota-exceeded", title: "" }, { status: 507, headers: PROBLEM });
    const refused = begun(new File(["x"], "x"), { fetch: troubled, transport: "auto" });
    await expect(refused.end).rejects.toEqual(code("quota-exceeded"));
    expect(methods.some(spoken)).toBe(false);
  });

  test("nor a foreign one by whoever asks for another transport", async () => {
    const foreign = new Foreign();
    await expect(foreign.uploadOf({ transport: "http" }).start()).rejects.toBeDefined();
    expect(foreign.methods.some(spoken)).toBe(false);
  });
});

const PROBLEM = { "Content-Type": "application/problem+json" };

describe("a server is none of tus", () => {
  test.each([
    ["another version", { ...SPEAKS, "Tus-Resumable": "2.0.0", "Tus-Version": "2.0.0" }],
    ["no creation", { ...SPEAKS, "Tus-Extension": "termination" }],
    ["no headers", {}],
  ])("with %s", async (_, features) => {
    const foreign = new Foreign();
    foreign.features = features;
    expect(await foreign.tus()).toBeUndefined();
    await expect(foreign.uploadOf().start()).rejects.toBeDefined();
    expect(foreign.bytes).toEqual([]);
  });

  test("that does not answer", async () => {
    const foreign = new Foreign();
    foreign.answer = () => {
      throw new TypeError("Failed to fetch");
    };
    expect(await foreign.tus()).toBeUndefined();
  });
});

test("a page of another site asks also where a browser hides the refusal", async () => {
  vi.stubGlobal("location", { origin: "https://site.test", href: "https://site.test/" });
  const foreign = new Foreign();
  foreign.answer = ({ method, headers }) => {
    if (method !== "OPTIONS" && !headers.has("Tus-Resumable")) throw new TypeError("Failed to fetch");
    return undefined;
  };
  await foreign.uploadOf().start();
  expect(foreign.bytes).toEqual([...BYTES]);
});

describe("a refusal", () => {
  test.each([
    [400, "invalid-argument", "The type is not allowed."],
    [401, "unauthorized", ""],
    [403, "forbidden", ""],
    [404, "not-found", ""],
    [409, "offset-mismatch", ""],
    [410, "gone", ""],
    [413, "too-large", ""],
    [415, "unsupported-media-type", ""],
    [423, "unavailable", ""],
    [429, "rate-limited", ""],
    [460, "checksum-mismatch", ""],
    [500, "unavailable", ""],
    [507, "storage-full", ""],
  ])("with %i is %s", async (status, expected, text) => {
    const foreign = new Foreign();
    const tus = await foreign.tus();
    foreign.answer = () => new Response(text, { status, headers: { "Retry-After": "7" } });
    const refused = await tus.look(`${foreign.url}1`, NEVER).catch((error: unknown) => error);
    expect(refused).toEqual(code(expected));
    expect(refused).toMatchObject({
      detail: `The server answered with HTTP status ${status}.${text && ` ${text}`}`,
      facts: { retry_after: 7 },
    });
  });

  test("of a file by a hook of the server ends the upload with what the server said", async () => {
    const foreign = new Foreign();
    foreign.answer = ({ method, headers }) =>
      method === "POST" && headers.has("Tus-Resumable") ? new Response("Only pictures, please.", { status: 400 }) : undefined;
    const refused = foreign.uploadOf().start();
    await expect(refused).rejects.toMatchObject({ code: "invalid-argument", message: expect.stringContaining("Only pictures") as unknown });
  });

  test("by answers without what they must have", async () => {
    const foreign = new Foreign();
    const tus = await foreign.tus();
    foreign.answer = ({ method }) => new Response(null, { status: method === "POST" ? 201 : 204 });
    await expect(tus.look(`${foreign.url}1`, NEVER)).rejects.toEqual(code("internal"));
    await expect(tus.create({ name: "n" }, 1, NEVER)).rejects.toEqual(code("internal"));
  });

  test("of bytes that arrived damaged sends them again, and not for ever", async () => {
    const foreign = new Foreign();
    let damaged = 2;
    foreign.answer = ({ method }) =>
      method === "PATCH" && damaged-- > 0 ? new Response(null, { status: 460 }) : undefined;
    await foreign.uploadOf().start();
    expect([foreign.bytes, foreign.methods.filter((method) => method === "PATCH").length]).toEqual([[...BYTES], 3]);
    damaged = Infinity;
    foreign.bytes.length = 0;
    await expect(foreign.uploadOf().start()).rejects.toEqual(code("checksum-mismatch"));
  });

  test("of the credential has it renewed", async () => {
    const foreign = new Foreign();
    foreign.answer = ({ method, headers }) =>
      method !== "OPTIONS" && headers.get("Authorization") !== "Bearer new" ? new Response(null, { status: 401 }) : undefined;
    const reasons: string[] = [];
    const token = (reason: string): string => {
      reasons.push(reason);
      return reasons.length < 3 ? "old" : "new";
    };
    await foreign.uploadOf({ token }).start();
    expect([foreign.bytes, reasons.at(-1)]).toEqual([[...BYTES], "refused"]);
  });
});

describe("a PATCH", () => {
  test("has the checksum that the server verifies best", async () => {
    const foreign = new Foreign();
    await foreign.uploadOf().start();
    const sums = (): string[] => foreign.asked.flatMap(({ headers }) => headers.get("Upload-Checksum") ?? []);
    const base64 = async (name: string): Promise<string> =>
      Buffer.from(await crypto.subtle.digest(name, BYTES)).toString("base64");
    expect(sums()).toEqual([`sha256 ${await base64("SHA-256")}`]);
    const other = new Foreign();
    other.features = { ...SPEAKS, "Tus-Checksum-Algorithm": "sha1" };
    await other.uploadOf().start();
    expect(other.asked.at(-1)?.headers.get("Upload-Checksum")).toBe(`sha1 ${await base64("SHA-1")}`);
    const last = new Foreign();
    last.features = { ...SPEAKS, "Tus-Extension": "creation" };
    await last.uploadOf().start();
    expect(last.asked.at(-1)?.headers.has("Upload-Checksum")).toBe(false);
  });

  test("that is answered with an offset that cannot be is asked about", async () => {
    const foreign = new Foreign();
    foreign.answer = ({ method }) =>
      method === "PATCH" ? new Response(null, { status: 204, headers: { "Upload-Offset": "0" } }) : undefined;
    await expect(foreign.uploadOf().start()).rejects.toEqual(code("offset-mismatch"));
    expect(foreign.methods.filter((method) => method === "HEAD").length).toBe(3);
  });
});

test("the token goes to the server and to no other", async () => {
  const foreign = new Foreign();
  foreign.answer = ({ method }) =>
    method === "POST" ? new Response(null, { status: 201, headers: { Location: "http://elsewhere.test/1" } }) : undefined;
  await foreign.uploadOf({ token: "secret" }).start();
  const told = foreign.asked.filter(({ headers }) => headers.get("Authorization") === "Bearer secret");
  expect(told.map(({ method }) => method)).toEqual(["POST", "OPTIONS", "POST"]);
  expect(foreign.asked.at(-1)).toMatchObject({ method: "PATCH", url: "http://elsewhere.test/1" });
});

test("what the server cannot delete, and a stream that it cannot take, are refused", async () => {
  const foreign = new Foreign();
  foreign.features = { ...SPEAKS, "Tus-Extension": "creation" };
  const tus = await foreign.tus();
  await expect(tus.delete(`${foreign.url}1`)).rejects.toEqual(code("method-not-allowed"));
  await expect(tus.create({ name: "n" }, null, NEVER)).rejects.toEqual(code("invalid-argument"));
  expect(foreign.methods).toEqual(["OPTIONS"]);
});

test("without a storage, or with a full one, an upload is not found again", async () => {
  const tus = await new Foreign().tus();
  vi.stubGlobal("localStorage", {
    getItem: () => null,
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  tus.remember("f", "a");
  expect(tus.find("f")).toBeUndefined();
  const forbidden = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get: () => {
      throw new DOMException("no", "SecurityError");
    },
  });
  tus.remember("f", "a");
  expect(tus.find("f")).toBeUndefined();
  Object.defineProperty(globalThis, "localStorage", forbidden!);
});

test("an aborted transfer stops and reports nothing more", async () => {
  const foreign = new Foreign();
  const tus = await foreign.tus();
  const stop = new AbortController();
  const reported: string[] = [];
  const transfer = new TusTransfer(
    {
      source: openSource((async function* () {})(), "a"),
      request: { name: "a", chunk_size: 10 },
      address: `${foreign.url}1`,
      fingerprint: undefined,
      listener: {
        opened: () => reported.push("opened"),
        stored: () => reported.push("stored"),
        verifying: () => reported.push("verifying"),
      },
      signal: stop.signal,
    },
    tus,
  );
  const end = transfer.run();
  stop.abort(new Error("paused"));
  await expect(end).rejects.toThrow("paused");
  expect(reported).toEqual([]);
});
