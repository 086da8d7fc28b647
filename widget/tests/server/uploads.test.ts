import { createHash } from "node:crypto";

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { Upload, type UploadOptions } from "../../src/index.js";
import type { Uploadable } from "../../src/source/source.js";
import { lacking, Server } from "../support/server.js";
import { someBytes, until, when } from "../support/helpers.js";

const MIB = 1024 * 1024;
const BYTES = someBytes(6 * MIB + 1234);
const chunkSize = MIB / 4;

let server: Server;
let uploads: Upload[] = [];

beforeAll(async () => {
  // The window is four chunks, far less than a file, so that no file is stored at once.
  if (lacking === undefined) server = await Server.start({ LADING_CHUNK_SIZE: String(chunkSize) });
});
afterAll(() => server?.stop());
afterEach(() => {
  for (const upload of uploads) upload.pause();
  uploads = [];
});

let names = 0;

/** A new file, so that no test resumes another test's upload. */
function file(): File {
  return new File([BYTES], `film-${++names}.mp4`, {
    lastModified: 1_700_000_000_000,
    type: "video/mp4",
  });
}

function uploadOf(source: Uploadable, options: Partial<UploadOptions> = {}): Upload {
  const { url, token } = server;
  const upload = new Upload(source, { url, token, WebSocket, ...options });
  uploads.push(upload);
  return upload;
}

function digest(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

async function stored(id: string): Promise<string> {
  const response = await server.request("GET", `/v1/files/${id}`);
  expect(response.status).toBe(200);
  return digest(new Uint8Array(await response.arrayBuffer()));
}

async function unfinished(): Promise<string[]> {
  const { uploads: found } = (await (await server.request("GET", "/v1/uploads")).json()) as {
    uploads: Array<{ _id: string }>;
  };
  return found.map(({ _id }) => _id);
}

function code(expected: string) {
  return expect.objectContaining({ code: expected }) as unknown;
}

describe.skipIf(lacking)(`a real server${lacking ? ` (${lacking})` : ""}`, () => {
  describe.each(["websocket", "http"] as const)("over %s", (transport) => {
    test("keeps every byte", async () => {
      const manifest = await uploadOf(file(), { transport, directory: "films" }).start();
      expect(manifest).toMatchObject({ size: BYTES.length, mime_type: "video/mp4" });
      expect(await stored(manifest.id)).toBe(digest(BYTES));
    });

    test("proves a SHA-256", async () => {
      const manifest = await uploadOf(file(), { transport, sha256: digest(BYTES) }).start();
      expect(manifest.sha256).toBe(digest(BYTES));
      const wrong = uploadOf(file(), { transport, sha256: digest(BYTES.subarray(1)) });
      await expect(wrong.start()).rejects.toEqual(code("checksum-mismatch"));
    });

    test("stores an empty file, a whole number of pieces, and one byte more", async () => {
      for (const size of [0, 2 * chunkSize, 2 * chunkSize + 1]) {
        const source = new File([BYTES.subarray(0, size)], `of-${size}-${transport}`);
        const { id } = await uploadOf(source, { transport }).start();
        expect(await stored(id)).toBe(digest(BYTES.subarray(0, size)));
      }
    });

    test("stores a stream of unknown length", async () => {
      const stream = new Blob([BYTES]).stream() as ReadableStream<Uint8Array>;
      const upload = uploadOf(stream, { transport, name: "recording.webm" });
      const { id, size } = await upload.start();
      expect([size, await stored(id)]).toEqual([BYTES.length, digest(BYTES)]);
    });

    test("resumes the same upload after a pause", async () => {
      const upload = uploadOf(file(), { transport });
      const end = upload.start();
      await when(upload, 1, () => upload.pause());
      const paused = upload.stored;
      expect(paused).toBeLessThan(BYTES.length);
      upload.resume();
      expect(await stored((await end).id)).toBe(digest(BYTES));
    });

    test("resumes what another page started", async () => {
      const source = file();
      const first = uploadOf(source, { transport });
      void first.start();
      await when(first, MIB, () => first.pause());
      const second = uploadOf(source, { transport });
      const { id } = await second.start();
      expect([id, await stored(id)]).toEqual([first.id, digest(BYTES)]);
      expect(second.resumedFrom).toBeGreaterThanOrEqual(MIB);
    });

    test("deletes a cancelled upload", async () => {
      const upload = uploadOf(file(), { transport });
      const end = upload.start();
      await when(upload, 1, () => void upload.cancel());
      await upload.cancel();
      await expect(end).rejects.toEqual(code("cancelled"));
      expect(await unfinished()).not.toContain(upload.id);
    });

    test("refuses a wrong token", async () => {
      const upload = uploadOf(file(), { transport, token: "wrong" });
      await expect(upload.start()).rejects.toEqual(code("unauthorized"));
    });

    test("accepts a grant's token within its limits", async () => {
      const minted = await server.request("POST", "/v1/grants", {
        action: "upload",
        user_id: "ann",
        name: "avatar.bin",
        max_size: BYTES.length,
        uses: 2,
      });
      const { token } = (await minted.json()) as { token: string };
      const source = file();
      const first = uploadOf(source, { transport, token });
      void first.start();
      await when(first, 1, () => first.pause());
      const second = uploadOf(source, { transport, token });
      expect((await second.start()).id).toBe(first.id);
      const large = new File([BYTES, "x"], "large.bin");
      await expect(uploadOf(large, { transport, token }).start()).rejects.toEqual(
        code("too-large"),
      );
    });

    test("reports an exceeded quota", async () => {
      await server.request("PUT", "/v1/users/admin/quota", { quota: 1000 });
      try {
        const upload = await failed(uploadOf(file(), { transport }));
        expect(upload.lastError).toEqual(code("quota-exceeded"));
        expect(upload.lastError?.facts["limit"]).toBe(1000);
        expect(upload.id).toBeNull();
      } finally {
        await server.request("PUT", "/v1/users/admin/quota", { quota: null });
      }
    });
  });

  test("two pages with one file both finish, as one file", async () => {
    const source = file();
    const first = uploadOf(source);
    const one = first.start();
    await when(first, 1, () => first.pause());
    const second = uploadOf(source);
    second.on("opened", () => first.resume());
    const [a, b] = await Promise.all([one, second.start()]);
    expect(a.id).toBe(b.id);
    expect(await stored(a.id)).toBe(digest(BYTES));
  });

  test("without WebSocket plain HTTP takes over", async () => {
    const blocked = class {
      constructor() {
        throw new DOMException("Refused to connect", "SecurityError");
      }
    } as unknown as UploadOptions["WebSocket"];
    const { id } = await uploadOf(file(), { WebSocket: blocked }).start();
    expect(await stored(id)).toBe(digest(BYTES));
  });

  test("an upload that started over HTTP resumes over WebSocket", async () => {
    const source = file();
    const first = uploadOf(source, { transport: "http" });
    void first.start();
    await when(first, 1, () => first.pause());
    const { id } = await uploadOf(source, { transport: "websocket" }).start();
    expect([id, await stored(id)]).toEqual([first.id, digest(BYTES)]);
  });

  test("a killed and restarted server has kept what it acknowledged", async () => {
    const upload = uploadOf(file());
    const end = upload.start();
    const opened: number[] = [];
    upload.on("opened", ({ stored: before }) => opened.push(before));
    let killed: Promise<void> | undefined;
    await when(upload, MIB, () => (killed = server.kill()));
    await killed;
    const acknowledged = upload.stored;
    await until(() => upload.state === "connecting");
    await server.again();
    const { id } = await end;
    expect(opened.at(-1)).toBeGreaterThanOrEqual(acknowledged);
    expect(await stored(id)).toBe(digest(BYTES));
  });
});

async function failed(upload: Upload): Promise<Upload> {
  await expect(upload.start()).rejects.toThrow();
  return upload;
}
