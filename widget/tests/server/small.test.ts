/** Small files and batches against the real server. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { Batch, Upload } from "../../src/index.js";
import { someBytes } from "../support/helpers.js";
import { lacking, Server } from "../support/server.js";

describe.skipIf(lacking !== undefined && !process.env["CI"])("small files on a real server", () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start({ LADING_SMALL_FILE_LIMIT: "4000" });
  });
  afterAll(() => server.stop());

  const options = () => ({ url: server.url, token: server.token, small: 1_000_000 });

  async function bytesOf(id: string): Promise<Uint8Array> {
    const answer = await server.request("GET", `/v1/files/${id}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  test.each([
    ["by one request", 3000, "small.bin"],
    ["empty", 0, "empty.bin"],
    ["in pieces when the server's limit is smaller", 9000, "larger.bin"],
    ["with an odd name", 10, `a b+c#d?e%2Ff&g=h "i" ü🎬`],
    ["with a name that is too long for an address", 10, "文".repeat(1000)],
  ])("arrive %s", async (_, size, name) => {
    const bytes = someBytes(size);
    const upload = new Upload(new File([bytes], name, { type: "application/x-test" }), {
      ...options(),
      directory: "some/where #1",
      tags: ["one", "two"],
    });
    const manifest = await upload.start();
    expect(manifest).toMatchObject({ name, size, mime_type: "application/x-test" });
    expect(await bytesOf(manifest.id)).toEqual(bytes);
    const stored = (await (await server.request("GET", `/v1/manifests/${manifest.id}`)).json()) as unknown;
    expect(stored).toMatchObject({ name, directory: "some/where #1", tags: ["one", "two"] });
  });

  test("of a batch are not stored twice, whichever way they came", async () => {
    const files = [10, 20, 5000, 6000].map((size) => ({
      file: new File([someBytes(size)], `f${size}.bin`),
      directory: "batch",
    }));
    for (const skipped of [0, 4]) {
      const batch = new Batch({ url: server.url, token: server.token });
      batch.add(files);
      expect(await batch.settled()).toMatchObject({ done: 4, failed: 0, skipped });
    }
  });

  test("of a user who cancels leave nothing", async () => {
    const batch = new Batch({ url: server.url, token: server.token });
    batch.add(Array.from({ length: 40 }, (_, each) => ({ file: new File([`${each}`], `c${each}`), directory: "gone" })));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await batch.cancel();
    const { done } = batch.totals;
    const listed = (await (await server.request("GET", "/v1/files?directory=gone")).json()) as { files: unknown[] };
    expect(listed.files).toHaveLength(done);
    expect(await (await server.request("GET", "/v1/uploads")).json()).toMatchObject({ uploads: [] });
  });
});
