/** Small files and batches against the real server. */

import { createHash } from "node:crypto";

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

  /** The names, sizes and SHA-256 of what is in a directory. */
  async function listed(directory: string): Promise<unknown[]> {
    const answer = await server.request("GET", `/v1/files?limit=1000&order=name&directory=${directory}`);
    const { files } = (await answer.json()) as { files: Array<Record<string, unknown>> };
    return files.map(({ name, size, mime_type, sha256, modified_at }) => [name, size, mime_type, sha256, modified_at]);
  }

  /** Files of many sizes, of which one is empty, and how they are to be listed. */
  function tiny(count: number, directory: string) {
    const made = Array.from({ length: count }, (_, each) => {
      const [bytes, name] = [someBytes(each * 7), `t${String(each).padStart(3, "0")} ü.txt`];
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const file = new File([bytes], name, { type: "text/x-test", lastModified: 1_700_000_000_123 });
      return { file, directory, row: [name, bytes.length, "text/x-test", sha256, "2023-11-14T22:13:20.123Z"] };
    });
    return { files: made, rows: made.map(({ row }) => row) };
  }

  /** Notes requests, and loses the answers of some of those that store files together. */
  function lossy(lose: (nth: number) => "before" | "at once" | "after" | undefined) {
    const posts: string[] = [];
    let together = 0;
    const fetched = async (address: unknown, init?: RequestInit): Promise<Response> => {
      const { pathname } = new URL(String(address));
      if (init?.method === "POST") posts.push(pathname);
      const lost = pathname.endsWith("/batch") ? lose(together++) : undefined;
      if (lost === undefined) return fetch(address as string, init);
      // "at once": the server is still busy with it when the next one comes.
      const carried = lost === "before" ? undefined : fetch(address as string, { ...init, signal: null });
      if (lost === "after") await carried;
      void carried?.catch(() => undefined);
      throw new TypeError("Failed to fetch");
    };
    return { posts, fetch: fetched as typeof fetch };
  }

  test("go together by few requests, and are what they were", async () => {
    const { files, rows } = tiny(300, "together");
    const { posts, fetch } = lossy(() => undefined);
    const batch = new Batch({ url: server.url, token: server.token, fetch });
    batch.add(files);
    expect(await batch.settled()).toMatchObject({ done: 300, failed: 0 });
    expect(await listed("together")).toEqual(rows);
    expect(posts.length).toBeLessThan(30);
  });

  test.each(["before", "at once", "after"] as const)("whose answer is lost %s are stored once", async (when) => {
    const { files, rows } = tiny(200, `lost-${when.replace(" ", "-")}`);
    const { fetch } = lossy((nth) => (nth < 2 ? when : undefined));
    const batch = new Batch({ url: server.url, token: server.token, fetch, random: () => 0 });
    batch.add(files);
    expect(await batch.settled()).toMatchObject({ done: 200, failed: 0 });
    expect(await listed(files[0]!.directory)).toEqual(rows);
  });

  test("of which the server refuses one are stored but for that", async () => {
    const { files, rows } = tiny(60, "refused");
    const batch = new Batch({ url: server.url, token: server.token });
    const wrong = { file: new File(["x"], "wrong.txt"), directory: "no\0where" };
    batch.add([...files.slice(0, 30), wrong, ...files.slice(30)]);
    expect(await batch.settled()).toMatchObject({ done: 60, failed: 1 });
    expect(batch.failures.map(({ file, error }) => [file.name, error.code])).toEqual([["wrong.txt", "invalid-argument"]]);
    expect(await listed("refused")).toEqual(rows);
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
