import { openAsBlob } from "node:fs";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { until } from "../support/helpers.js";
import { begun, BYTES, CHUNK, code, FILE, peer } from "../support/uploads.js";

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
