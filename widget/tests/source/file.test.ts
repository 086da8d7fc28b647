import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { UploadError } from "../../src/index.js";
import { timelessFingerprintOf } from "../../src/source/fingerprint.js";
import { settle, someBytes, until, when } from "../support/helpers.js";
import { begun, BYTES, CHUNK, code, FILE, FINISH, peer } from "../support/uploads.js";

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
  ])("that %s during the upload fails it with `source-changed`", async (_, harm) => {
    const source = await blob();
    peer.look = ([number]) => number === CHUNK;
    const { upload, end } = begun(source, { name: "film.mp4" });
    await until(() => peer.count("CHUNK") === 2);
    await harm();
    peer.look = () => false;
    peer.socket.drop();
    await expect(end).rejects.toEqual(code("source-changed"));
    expect(upload.lastError?.message).toMatch(/changed, moved or deleted .* Choose it again/);
  });

  test("of another size than the upload is not accepted", async () => {
    const kept = peer.create({ name: "film.mp4", size: 46 });
    const { end } = begun(FILE, { id: kept.id });
    await expect(end).rejects.toEqual(code("source-changed"));
  });
});

describe("a file that is chosen again with another time, as phones report it", () => {
  const [LARGE, SAME] = [someBytes(5000), 1_700_000_000_000];

  async function half(): Promise<string> {
    peer.chunkSize = 1000;
    peer.window = 2000;
    const first = begun(new File([LARGE], "film.mp4", { lastModified: SAME }));
    await when(first.upload, 2000, () => first.upload.pause());
    await settle();
    return first.upload.id ?? "";
  }

  test("resumes, and the server compares the digest of the whole", async () => {
    const id = await half();
    const digests: unknown[] = [];
    peer.look = ([number, , fields]) => {
      if (number === FINISH) digests.push((fields as Record<string, unknown>)["sha256"]);
    };
    const { upload, end } = begun(new File([LARGE], "film.mp4", { lastModified: SAME + 1 }));
    await end;
    expect([upload.id, upload.resumedFrom >= 2000, peer.uploads.size]).toEqual([id, true, 1]);
    expect(digests).toEqual([createHash("sha256").update(LARGE).digest("hex")]);
    expect(peer.bytes).toEqual(LARGE);
  });

  test("resumes what the command line began, whose fingerprint has no time", async () => {
    const file = new File([LARGE], "film.mp4");
    const fingerprint = await timelessFingerprintOf(file, "film.mp4");
    const kept = peer.create({ name: "film.mp4", size: 5000, fingerprint });
    [peer.chunkSize, peer.window] = [1000, 2000];
    kept.pieces.set(0, LARGE.slice(0, 1000));
    const { upload, end } = begun(file);
    await end;
    expect([upload.id, upload.resumedFrom, peer.uploads.size]).toEqual([kept.id, 1000, 1]);
  });

  test("with the same time no byte is read twice for a digest", async () => {
    const id = await half();
    let digest: unknown = "not asked";
    peer.look = ([number, , fields]) => {
      if (number === FINISH) digest = (fields as Record<string, unknown>)["sha256"];
    };
    const { upload, end } = begun(new File([LARGE], "film.mp4", { lastModified: SAME }));
    await end;
    expect([upload.id, digest]).toEqual([id, undefined]);
  });

  test.each([["auto"], ["http"]] as const)("its digest is sent where it is wanted, over %s", async (transport) => {
    const digests: unknown[] = [];
    const noted = (fields: unknown): unknown => digests.push((fields as Record<string, unknown>)["sha256"]);
    peer.look = ([number, , fields]) => void (number === FINISH && noted(fields));
    const { fetch } = peer;
    const heard = (address: unknown, init?: RequestInit): Promise<Response> => {
      if (String(address).endsWith("/finish")) noted(JSON.parse(String(init?.body)));
      return fetch(address as string, init);
    };
    const file = new File([LARGE], "film.mp4");
    await begun(file, { digest: true, transport, fetch: heard as typeof fetch }).end;
    expect(digests).toEqual([createHash("sha256").update(LARGE).digest("hex")]);
  });

  test("starts over when the server finds that the content really differs", async () => {
    const id = await half();
    const changed = LARGE.slice();
    changed[1500] = (changed[1500] ?? 0) ^ 1; // between the samples
    peer.look = ([number], socket) => {
      if (number !== FINISH || socket.upload?.id !== id) return false;
      socket.problem(0, "checksum-mismatch");
      return true;
    };
    const { upload, end } = begun(new File([changed], "film.mp4", { lastModified: SAME + 1 }));
    await end;
    expect([upload.id === id, peer.uploads.has(id), peer.bytes]).toEqual([false, false, changed]);
  });

  test("is another upload when its samples differ, and the old one stays", async () => {
    const id = await half();
    const changed = LARGE.slice();
    changed[4999] = (changed[4999] ?? 0) ^ 1;
    const { upload, end } = begun(new File([changed], "film.mp4", { lastModified: SAME + 1 }));
    await end;
    expect([upload.id === id, peer.uploads.has(id)]).toEqual([false, true]);
  });
});

test("a file whose drive is gone fails with what to do, and resumes when it is chosen again", async () => {
  const gone = new DOMException("The file could not be read.", "NotReadableError");
  let there = true;
  const file = new File([BYTES], "film.mp4", { lastModified: 1 });
  const { slice } = file;
  Object.assign(file, {
    slice: (start: number, end: number) => {
      const part = slice.call(file, start, end);
      return there ? part : Object.assign(part, { arrayBuffer: () => Promise.reject(gone) });
    },
  });
  const { upload, end } = begun(file);
  await when(upload, 20, () => (there = false));
  const error = (await end.catch((failure: unknown) => failure)) as UploadError;
  expect([error.code, error.message]).toEqual(["source-changed", expect.stringContaining("the upload resumes") as unknown]);
  expect(error.detail).toContain("could not be read");
  const again = begun(new File([BYTES], "film.mp4", { lastModified: 2 }));
  await again.end;
  expect([again.upload.id, peer.bytes]).toEqual([upload.id, BYTES]);
});
