/** Files in a bucket and in a directory: sent past the server by a site's page, and shown by Lading's own. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Bucket } from "./bucket.js";
import { MB, sample } from "./samples.js";
import { expect, test as base } from "./world.js";

const test = base.extend<object, { site: string; bucket: Bucket }>({
  site: [async ({}, use) => {
    const listener = createServer((_request, answer) => {
      answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>A site</title><input type=file>");
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    await use(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    listener.close();
    listener.closeAllConnections();
  }, { scope: "worker" }],
  bucket: [async ({}, use) => {
    const bucket = await Bucket.start();
    await use(bucket);
    await bucket.stop();
  }, { scope: "worker", timeout: 60_000 }],
});

test.describe("with a bucket", () => {
  test.use({ settings: async ({ bucket, site }, use) => use({ ...bucket.settings, LADING_ALLOWED_ORIGINS: site }) });

  /** Upload the chosen file past the server, from the page of a site. */
  const upload = (page: import("@playwright/test").Page, url: string, token: string) =>
    page.evaluate(async ([server, secret]) => {
      const { Upload } = (await import(`${server}/widget/lading.js`)) as typeof import("../src/index.js");
      const [file] = document.querySelector("input")?.files ?? [];
      if (!file) throw new Error("no file is chosen");
      const run = new Upload(file, { url: server, token: secret, direct: true });
      const progress: number[] = [];
      run.on("progress", ({ stored }) => progress.push(stored));
      const { id, crc32c } = await run.start();
      return { id, crc32c, progress };
    }, [url, token] as const);

  test("a site's page sends a file to the bucket, and hears how far it is", async ({ page, site, bucket, server, folder }) => {
    await bucket.allow(site);
    const path = join(folder, "film.mp4");
    const sha256 = await sample(path, 40 * MB);
    await page.goto(site);
    await page.locator("input").setInputFiles(path);
    const puts: string[] = [];
    page.on("request", (request) => request.method() === "PUT" && puts.push(new URL(request.url()).origin));
    const { id, crc32c, progress } = await upload(page, server.url, server.token);
    expect([puts, crc32c]).toEqual([[bucket.url], null]);
    expect(progress.at(-1)).toBe(40 * MB);
    expect(progress.some((bytes) => bytes > 0 && bytes < 40 * MB)).toBe(true);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(await (await server.ask(`/v1/uploads/${id}`)).json()).toMatchObject({ blobs: "s3", sha256 });
    expect(await server.sha256(id)).toBe(sha256);
  });

  test("where the bucket's CORS rule names others, the server takes the file", async ({ page, site, bucket, server, folder }) => {
    await bucket.allow("https://example.org");
    const path = join(folder, "film.mp4");
    const sha256 = await sample(path, 3 * MB);
    await page.goto(site);
    await page.locator("input").setInputFiles(path);
    const { id, crc32c } = await upload(page, server.url, server.token);
    expect(crc32c).not.toBeNull();
    expect(await server.sha256(id)).toBe(sha256);
  });

  test("Lading's page shows that a file is in S3 when it has moved there", async ({ library, page, server, folder }) => {
    const path = join(folder, "film.mp4");
    await sample(path, 3 * MB);
    await library.choose(path);
    await expect(library.card("film.mp4")).toBeVisible();
    const [file] = await server.files();
    const where = async () => ((await (await server.ask(`/v1/uploads/${file?._id}`)).json()) as { blobs: string }).blobs;
    await expect.poll(where).toBe("s3");
    const dialog = await library.open("film.mp4");
    await expect(dialog.locator(".facts")).toContainText("Kept inS3");
    await expect(page.getByRole("dialog").getByRole("link", { name: "Download" })).toBeVisible();
    expect(await server.sha256(file?._id ?? "")).toHaveLength(64);
  });
});

test.describe("with a directory", () => {
  test.use({ settings: async ({ folder }, use) => use({ LADING_BLOBS: `file://${folder}/files` }) });

  test("Lading's page shows that a file is there, and that it is public", async ({ library, page, server }) => {
    const { _id } = await server.put("note.txt", "hello", "text/plain");
    await server.ask(`/v1/files/${_id}`, { method: "PATCH", body: '{"public": true}' });
    await page.reload();
    const dialog = await library.open("note.txt");
    await expect(dialog.locator(".facts")).toContainText("Kept inthe server's directory");
    await expect(dialog.locator(".facts")).toContainText("Anyone with its address can fetch it");
  });
});
