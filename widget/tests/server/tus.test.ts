/** Uploads to servers of others that speak tus: real ones, with their own stores. */

import { createHash } from "node:crypto";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { Batch, Upload, type UploadOptions } from "../../src/index.js";
import { openSource, type Uploadable } from "../../src/source/source.js";
import { Credential } from "../../src/transport/credential.js";
import { Api } from "../../src/transport/http.js";
import { Tus } from "../../src/transport/tus.js";
import { TusTransfer } from "../../src/transport/tus-transfer.js";
import { someBytes, when } from "../support/helpers.js";
import { lacking as lackingLading, Server } from "../support/server.js";
import { lacking, TusServer } from "../support/tus-server.js";

const CHUNK = 256 * 1024;
const BYTES = someBytes(3 * CHUNK + 1234);

function digest(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

let names = 0;

function file(size = BYTES.length): File {
  return new File([BYTES.subarray(0, size)], `Film № ${++names}.mp4`, { type: "video/mp4", lastModified: 1 });
}

/** The storage of a browser, which outlives its pages. */
class Kept {
  [key: string]: unknown;

  getItem(key: string): string | null {
    return (this[key] as string | undefined) ?? null;
  }

  setItem(key: string, value: string): void {
    this[key] = value;
  }

  removeItem(key: string): void {
    delete this[key];
  }
}

function keep(): Kept {
  const kept = new Kept();
  vi.stubGlobal("localStorage", kept);
  return kept;
}

afterEach(() => vi.unstubAllGlobals());

const MAKES = [
  ["@tus/server", () => TusServer.node(), undefined],
  ["tuspyserver", () => TusServer.python(), lacking],
] as const;

describe.each(MAKES)("%s", (_make, start, reason) => {
  describe.skipIf(reason !== undefined && !process.env["CI"])("gets", () => {
    let server: TusServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    function uploadOf(source: Uploadable = file(), options: UploadOptions = {}): Upload {
      return new Upload(source, { url: server.url, chunkSize: CHUNK, random: () => 0, ...options });
    }

    test("every byte of a file, and its name and type", async () => {
      const upload = uploadOf(file(), { directory: "a/b" });
      const states: string[] = [];
      const progress: number[] = [];
      upload.on("state", (state) => states.push(state));
      upload.on("progress", ({ stored }) => progress.push(stored));
      const { id, url, size, sha256, mime_type } = await upload.start();
      expect([id, size, sha256, mime_type]).toEqual([url, BYTES.length, null, "video/mp4"]);
      expect(url.startsWith(server.url)).toBe(true);
      expect(await server.sha256(url)).toBe(digest(BYTES));
      expect(states.filter((state) => state !== "connecting")).toEqual(["uploading", "done"]);
      expect(progress).toEqual([0, CHUNK, 2 * CHUNK, 3 * CHUNK, BYTES.length, BYTES.length]);
      const metadata = (await server.head(url)).headers.get("Upload-Metadata") ?? "";
      expect(metadata).toContain(`filename ${Buffer.from(upload.name).toString("base64")}`);
      expect(metadata).toContain(`filetype ${Buffer.from("video/mp4").toString("base64")}`);
    });

    test.each([0, 1, CHUNK, CHUNK + 1])("a file of %i bytes", async (size) => {
      const { url } = await uploadOf(file(size)).start();
      expect(await server.sha256(url)).toBe(digest(BYTES.subarray(0, size)));
    });

    test.each([0, 10, 2 * CHUNK, 2 * CHUNK + 1])("a stream of %i bytes", async (size) => {
      const stream = new Blob([BYTES.subarray(0, size)]).stream() as ReadableStream<Uint8Array>;
      const { url, size: known } = await uploadOf(stream, { name: "recording.webm" }).start();
      expect([known, await server.sha256(url)]).toEqual([size, digest(BYTES.subarray(0, size))]);
    });

    test("the rest after a pause", async () => {
      const upload = uploadOf();
      const end = upload.start();
      await when(upload, CHUNK, () => upload.pause());
      expect(upload.stored).toBeLessThan(BYTES.length);
      upload.resume();
      expect(await server.sha256((await end).url)).toBe(digest(BYTES));
    });

    test("the rest after a reload of the page, and keeps nothing in the browser when it has all", async () => {
      const kept = keep();
      const source = file();
      const first = uploadOf(source);
      void first.start();
      await when(first, CHUNK, () => first.pause());
      expect(Object.values(kept)).toEqual([first.id]);
      const second = uploadOf(source);
      const { url } = await second.start();
      expect([url, second.resumedFrom >= CHUNK]).toEqual([first.id, true]);
      expect(await server.sha256(url)).toBe(digest(BYTES));
      expect(Object.values(kept)).toEqual([]);
    });

    test("an upload whose address the page kept itself", async () => {
      const source = file();
      const first = uploadOf(source);
      void first.start();
      await when(first, CHUNK, () => first.pause());
      const second = uploadOf(source, { id: first.id! });
      expect((await second.start()).url).toBe(first.id);
      expect(await server.sha256(first.id!)).toBe(digest(BYTES));
    });

    test("a new upload where the earlier one is gone", async () => {
      keep();
      const source = file();
      const first = uploadOf(source);
      void first.start();
      await when(first, CHUNK, () => first.pause());
      await fetch(first.id!, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } });
      const { url } = await uploadOf(source).start();
      expect(url).not.toBe(first.id);
      expect(await server.sha256(url)).toBe(digest(BYTES));
    });

    test("what it lacks when answers were lost and bodies broke off", async () => {
      let patches = 0;
      const trouble: typeof fetch = async (address, init) => {
        if (init?.method !== "PATCH") return fetch(address, init);
        patches += 1;
        if (patches === 2) return fetch(address, { ...init, ...breaking(init.body as Blob) });
        const answer = await fetch(address, init);
        if (patches === 1) throw new TypeError("The answer is lost.");
        return answer;
      };
      const { url } = await uploadOf(file(), { fetch: trouble }).start();
      expect(await server.sha256(url)).toBe(digest(BYTES));
      expect(patches).toBeGreaterThan(4);
    });

    test("the order to delete what was cancelled", async () => {
      const kept = keep();
      const upload = uploadOf();
      const end = upload.start();
      await when(upload, CHUNK, () => void upload.cancel());
      await upload.cancel();
      await expect(end).rejects.toMatchObject({ code: "cancelled" });
      expect([404, 410]).toContain((await server.head(upload.id!)).status);
      expect(Object.values(kept)).toEqual([]);
    });

    test("the files of a batch", async () => {
      const batch = new Batch({ url: server.url });
      batch.add([file(10), file(20), file(30)].map((each) => ({ file: each, directory: "d" })));
      expect(await batch.settled()).toMatchObject({ files: 3, done: 3, failed: 0, skipped: 0 });
    });
  });
});

/** A body that breaks the connection in its middle. */
function breaking(body: Blob): RequestInit {
  const half = body.slice(0, body.size / 2);
  const stream = new ReadableStream({
    async pull(controller) {
      controller.enqueue(new Uint8Array(await half.arrayBuffer()));
      controller.error(new TypeError("The network is gone."));
    },
  });
  return { body: stream, duplex: "half" } as RequestInit;
}

describe("@tus/server with a limit", () => {
  let server: TusServer;
  beforeAll(async () => {
    server = await TusServer.node({ maxSize: 1000 });
  });
  afterAll(() => server.stop());

  test("is not asked to take a larger file", async () => {
    const upload = new Upload(file(1001), { url: server.url });
    await expect(upload.start()).rejects.toMatchObject({ code: "too-large", facts: { limit: 1000 } });
    expect(server.heard.filter((line) => line === "POST /files")).toEqual([]);
  });

  test("is asked for nothing but the upload when the page knows it", async () => {
    server.heard.length = 0;
    await new Upload(file(10), { url: server.url }).start();
    expect(server.heard.map((line) => line.split(" ")[0])).toEqual(["POST", "PATCH"]);
  });
});

// The servers above verify no checksums, as most do not. Lading's own address for tus verifies them.
describe.skipIf(lackingLading !== undefined && !process.env["CI"])("a server that verifies checksums", () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(() => server?.stop());

  test("finds those of the client right", async () => {
    const sums: string[] = [];
    const listening: typeof fetch = async (address, init) => {
      const sum = new Headers(init?.headers).get("Upload-Checksum");
      if (sum !== null) sums.push(sum);
      return fetch(address, init);
    };
    const api = new Api(`${server.url}/v1/tus`, new Credential(server.token), listening);
    const tus = await Tus.discover(api);
    const source = file();
    const { url } = await new TusTransfer(
      {
        source: openSource(source, source.name),
        request: { name: source.name, directory: "a/b", chunk_size: CHUNK },
        address: undefined,
        fingerprint: undefined,
        listener: { opened: () => undefined, stored: () => undefined, verifying: () => undefined },
        signal: new AbortController().signal,
      },
      tus!,
    ).run();
    expect(sums.length).toBe(4);
    const answer = await server.request("GET", url.slice(server.url.length).replace("/v1/tus/", "/v1/manifests/"));
    expect(await answer.json()).toMatchObject({ name: source.name, directory: "a/b", size: BYTES.length, state: "ready" });
  });
});
