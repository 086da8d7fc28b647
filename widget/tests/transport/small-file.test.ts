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
