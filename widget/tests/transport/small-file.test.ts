import { describe, expect, test } from "vitest";

import { refuse } from "../support/peer.js";
import { settle, until } from "../support/helpers.js";
import { begun, BYTES, code, FILE, peer } from "../support/uploads.js";

const SMALL = { small: 100 };
const POST = "POST /v1/files";

test("a small file goes by one request", async () => {
  const { upload, states, end } = begun(FILE, { ...SMALL, directory: "a/b", tags: ["x", "y"] });
  const manifest = await end;
  expect(peer.heard).toEqual([POST]);
  expect(peer.bytes).toEqual(BYTES);
  const [{ request } = { request: {} }] = [...peer.uploads.values()];
  expect(request).toMatchObject({ name: "film.mp4", directory: "a/b", tags: ["x", "y"] });
  expect(manifest).toMatchObject({ id: upload.id, name: "film.mp4", size: 47 });
  expect(manifest.url).toBe(`${peer.url}/v1/files/${upload.id}`);
  expect([states, upload.stored]).toEqual([["connecting", "uploading", "done"], 47]);
});

test("an empty one, too", async () => {
  await begun(new File([], "empty"), SMALL).end;
  expect(peer.heard).toEqual([POST]);
});

test("a name with `#?%&+` and spaces arrives unchanged", async () => {
  const name = "a b+c#d?e%20f&g=h/ü🎬";
  await begun(new File(["x"], "x"), { ...SMALL, name, directory: "1 & 2/#3" }).end;
  const [{ request } = { request: {} }] = [...peer.uploads.values()];
  expect(request).toMatchObject({ name, directory: "1 & 2/#3" });
});

test.each([
  ["by default", {}],
  ["larger than that", { small: 46 }],
  ["with a name that is too long for an address", { small: 100, name: "文".repeat(400) }],
  ["that the server would read as a form", { small: 100, type: "multipart/form-data; boundary=x" }],
  ["with an own fingerprint", { small: 100, fingerprint: "mine" }],
  ["with one transport", { small: 100, transport: "http" as const }],
  ["with a grant", { small: 100, token: "lg_token" }],
])("a file goes in pieces %s", async (_, options) => {
  await begun(FILE, options).end;
  expect([peer.count(POST + "\n"), peer.heard.includes(POST), peer.bytes]).toEqual([0, false, BYTES]);
});

test("a server with a smaller limit gets the file in pieces", async () => {
  peer.answer = (method, path) =>
    method === "POST" && path === "/v1/files" ? refuse(413, "too-large", { limit: 10 }) : undefined;
  await begun(FILE, SMALL).end;
  expect([peer.heard[0], peer.bytes]).toEqual([POST, BYTES]);
});

describe("when the answer is lost", () => {
  /** The network is lost once, before or after the server stored the file. */
  function lose(stored: boolean): void {
    const { fetch } = peer;
    let lost = false;
    Object.assign(peer, {
      fetch: async (address: unknown, init?: RequestInit) => {
        if (lost || init?.method !== "POST") return fetch(address, init);
        lost = true;
        if (stored) await fetch(address, init);
        throw new TypeError("Failed to fetch");
      },
    });
  }

  test("the stored file is found, not stored twice", async () => {
    lose(true);
    const { upload, end } = begun(FILE, SMALL);
    await end;
    expect(peer.heard).toEqual([POST, "GET /v1/files"]);
    expect([upload.state, peer.uploads.size]).toEqual(["done", 1]);
  });

  test("a file that is not there is sent again", async () => {
    lose(false);
    await begun(FILE, SMALL).end;
    expect(peer.heard).toEqual(["GET /v1/files", POST]);
    expect(peer.bytes).toEqual(BYTES);
  });
});

test("all tries of one file have one key, and those of another file another", async () => {
  const keys: unknown[] = [];
  const { fetch } = peer;
  const noted = (address: unknown, init?: RequestInit): Promise<Response> => {
    if (init?.method === "POST") keys.push((init.headers as Record<string, string>)["Idempotency-Key"]);
    // The server still carries out the request whose answer was lost.
    if (keys.length === 1 && init?.method === "POST") return Promise.reject(new TypeError("Failed to fetch"));
    if (keys.length === 2 && init?.method === "POST") return Promise.resolve(refuse(409, "in-progress", { retryable: true }));
    return fetch(address as string, init);
  };
  await begun(FILE, { ...SMALL, fetch: noted as typeof fetch }).end;
  await begun(FILE, { ...SMALL, fetch: noted as typeof fetch }).end;
  const [first, second, third, other] = keys;
  expect(first).toMatch(/^"[0-9a-f]{32}"$/);
  expect([keys.length, second, third]).toEqual([4, first, first]);
  expect(other).toMatch(/^"[0-9a-f]{32}"$/);
  expect(other).not.toBe(first);
});

test("damage on the way is sent again", async () => {
  let damaged = 0;
  peer.answer = () => (damaged++ < 1 ? refuse(422, "checksum-mismatch") : undefined);
  await begun(FILE, SMALL).end;
  expect([damaged, peer.bytes]).toEqual([2, BYTES]);
});

test("a refusal ends it with the server's code", async () => {
  peer.answer = () => refuse(507, "quota-exceeded", { limit: 1, used: 1 });
  await expect(begun(FILE, SMALL).end).rejects.toEqual(code("quota-exceeded"));
});

describe("where the site approves files first", () => {
  const ID = "6b0179176249a43ed26a4b6e";
  const FINISH = `POST /v1/uploads/${ID}/finish`;
  const manifest = { _id: ID, size: 47, mime_type: "video/mp4", crc32c: 0, state: "ready" };
  let asked: string[];

  /** The answers of the server: the file waits, then what is decided on it. */
  function decide(...decisions: Response[]): void {
    asked = [];
    peer.answer = (method, path) => {
      asked.push(`${method} ${path}`);
      if (path === "/v1/files") return Response.json({ ...manifest, state: "approving" }, { status: 202 });
      return path.includes(ID) ? decisions.shift() : undefined;
    };
  }

  test("the decision is waited for", async () => {
    decide(refuse(503, "unavailable", { retryable: true }), Response.json(manifest));
    const { upload, end } = begun(FILE, SMALL);
    expect(await end).toMatchObject({ id: ID, size: 47 });
    expect([asked, upload.state]).toEqual([[POST, FINISH, FINISH], "done"]);
  });

  test("a refusal ends it", async () => {
    decide(refuse(403, "rejected"));
    await expect(begun(FILE, SMALL).end).rejects.toEqual(code("rejected"));
    expect(asked).toEqual([POST, FINISH]);
  });

  test("cancelling deletes what waits", async () => {
    const { fetch } = peer;
    let waits = 0;
    const held = (address: unknown, init?: RequestInit): Promise<Response> => {
      if (!String(address).includes("/finish")) return fetch(address as string, init);
      waits += 1;
      return new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      });
    };
    decide(new Response(null, { status: 204 }));
    const { upload, end } = begun(FILE, { ...SMALL, fetch: held as typeof fetch });
    await until(() => waits === 1);
    await upload.cancel();
    await expect(end).rejects.toEqual(code("cancelled"));
    expect(asked.at(-1)).toBe(`DELETE /v1/files/${ID}`);
  });
});

test("cancelling deletes the file that was being stored", async () => {
  const { fetch } = peer;
  let go = (): void => undefined;
  const held = new Promise<void>((resolve) => (go = resolve));
  const slow = async (address: unknown, init?: RequestInit) => {
    const answer = await fetch(address, init);
    await held;
    return answer;
  };
  const { upload, end } = begun(FILE, { ...SMALL, fetch: slow as typeof fetch });
  await until(() => peer.count(POST) === 1);
  const cancelled = upload.cancel();
  await settle();
  go();
  await cancelled;
  await expect(end).rejects.toEqual(code("cancelled"));
  expect(peer.uploads.size).toBe(0);
});

test("a pause stops the request, and resuming stores the file once", async () => {
  const { fetch } = peer;
  let [begunAt, aborted] = [0, 0];
  const once = (address: unknown, init?: RequestInit): Promise<Response> => {
    if (aborted > 0 || init?.method !== "POST") return fetch(address as string, init);
    begunAt += 1;
    return new Promise((_, reject) => {
      init.signal?.addEventListener("abort", () => {
        aborted += 1;
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  };
  const { upload, end } = begun(FILE, { ...SMALL, fetch: once as typeof fetch });
  await until(() => begunAt === 1);
  upload.pause();
  await until(() => aborted === 1);
  upload.resume();
  await end;
  expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
});
