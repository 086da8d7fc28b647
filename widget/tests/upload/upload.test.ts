import { describe, expect, test } from "vitest";

import { type Manifest } from "../../src/index.js";
import { settle, until, when } from "../support/helpers.js";
import { begun, BYTES, code, FILE, FINISH, peer, uploadOf } from "../support/uploads.js";

describe.each(["websocket", "http"] as const)("over %s", (transport) => {
  test("every byte arrives, and `done` is the last state", async () => {
    const { upload, states, end } = begun(FILE, { transport, directory: "d", tags: ["x"] });
    const manifest: Manifest = await end;
    expect(peer.bytes).toEqual(BYTES);
    expect(states).toEqual(["connecting", "uploading", "verifying", "done"]);
    expect(manifest).toMatchObject({ id: upload.id, name: "film.mp4", size: 47 });
    expect(manifest.url).toBe(`${peer.url}/v1/files/${upload.id}`);
    const [{ request } = { request: {} }] = [...peer.uploads.values()];
    expect(request).toMatchObject({ name: "film.mp4", size: 47, directory: "d", tags: ["x"] });
  });

  test("an empty file is uploaded", async () => {
    await begun(new File([], "empty"), { transport }).end;
    expect(peer.count("CHUNK") + peer.count("PUT")).toBe(0);
  });

  test("progress ends with the file's size and never goes back", async () => {
    const { progress, end } = begun(FILE, { transport });
    await end;
    expect(progress.at(-1)).toBe(47);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  test("bytes that an earlier start stored are not sent again", async () => {
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

  test("`fingerprint: null` always starts a new upload", async () => {
    await begun(FILE, { transport, fingerprint: null }).end;
    const { upload } = begun(FILE, { transport, fingerprint: null });
    await until(() => upload.state === "done");
    expect(peer.uploads.size).toBe(2);
    expect(peer.count("GET /v1/uploads")).toBe(0);
  });

  test("an upload with a known id is resumed", async () => {
    const kept = peer.create({ name: "film.mp4", size: 47 });
    kept.pieces.set(0, BYTES.slice(0, 10));
    const { upload, end } = begun(FILE, { transport, id: kept.id });
    await end;
    expect([upload.id, upload.resumedFrom, peer.uploads.size]).toEqual([kept.id, 10, 1]);
  });

  test("an upload that is already finished is done", async () => {
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

  test("a stream that cannot be iterated is read by its reader", async () => {
    const stream = new Blob([BYTES]).stream();
    const plain = { getReader: () => stream.getReader() };
    await begun(plain as unknown as ReadableStream<Uint8Array>, {
      transport,
      name: "recording.webm",
    }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("an empty stream becomes an empty file", async () => {
    const { upload, end } = begun(new Blob([]).stream(), { transport, name: "recording.webm" });
    expect((await end).size).toBe(0);
    expect([upload.state, peer.bytes.length]).toEqual(["done", 0]);
  });

  test("an earlier start that was deleted is replaced by a new upload", async () => {
    const first = begun(FILE, { transport });
    await when(first.upload, 10, () => first.upload.pause());
    const second = begun(FILE, { transport });
    await when(second.upload, 20, () => peer.uploads.clear());
    await second.end;
    expect(peer.bytes).toEqual(BYTES);
    expect(second.upload.resumedFrom).toBe(0);
  });

  test("a token function that throws is a network error", async () => {
    const token = (): never => {
      throw new TypeError("Failed to fetch");
    };
    const { end } = begun(FILE, { transport, token, patience: 0 });
    await expect(end).rejects.toEqual(code("network"));
  });

  test("a stream that throws fails the upload", async () => {
    async function* blocks() {
      yield BYTES;
      await settle();
      throw new Error("the camera is gone");
    }
    const { upload, end } = begun(blocks(), { transport, name: "recording.webm" });
    await expect(end).rejects.toEqual(code("source-failed"));
    expect(upload.state).toBe("failed");
  });

  test("pieces that the server reports missing at the end are sent", async () => {
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

  test("pause stops, and resume sends what is missing", async () => {
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

  test("cancel deletes the upload on the server", async () => {
    const { upload, states, end } = begun(FILE, { transport });
    await when(upload, 10, () => void upload.cancel());
    await upload.cancel();
    await expect(end).rejects.toEqual(code("cancelled"));
    expect([upload.state, peer.uploads.size]).toEqual(["cancelled", 0]);
    expect(states.at(-1)).toBe("cancelled");
    expect(peer.count("ABORT")).toBe(transport === "websocket" ? 1 : 0);
  });

  test("a refused token is renewed, and the upload continues", async () => {
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
      "The server does not accept the credential. Sign in again, then retry.",
    );
  });

  test("without a token HELLO carries none, so that the cookie counts", async () => {
    let said: unknown;
    peer.look = (items) => void (items[0] === 1 && (said = items[1]));
    await begun(FILE, { transport }).end;
    if (transport === "websocket") expect(said).not.toHaveProperty("token");
  });
});

test("an upload without a name is refused", () => {
  expect(() => uploadOf(new Blob([BYTES]))).toThrow(TypeError);
});
