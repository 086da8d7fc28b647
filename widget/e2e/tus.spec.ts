/**
 * A site that moves to Lading step by step: its page has Lading's client, and its uploads still go to the
 * tus server of others that it had before, which is a real one.
 */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { TusServer } from "../tests/support/tus-server.js";
import { Proxy } from "./proxy.js";
import { MB, sample } from "./samples.js";
import { expect, test as base } from "./world.js";

const WIDGET = resolve(import.meta.dirname, "../../server/page/widget");

type Client = typeof import("../src/index.js");

/** What the page keeps of its upload. */
interface Kept {
  upload: InstanceType<Client["Upload"]>;
  result: { url?: string; resumedFrom?: number; error?: string };
}

const test = base.extend<{ site: string; tus: TusServer; before: Proxy }>({
  site: async ({}, use) => {
    const listener = createServer(async ({ url = "/" }, answer) => {
      const script = url.endsWith(".js") ? await readFile(join(WIDGET, basename(url))) : null;
      answer.setHeader("Content-Type", script === null ? "text/html" : "text/javascript");
      answer.end(script ?? "<!doctype html><title>A site</title><input type=file>");
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    await use(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    listener.close();
    listener.closeAllConnections();
  },
  tus: async ({}, use) => {
    const tus = await TusServer.node();
    await use(tus);
    await tus.stop();
  },
  before: async ({ tus }, use) => {
    const proxy = await Proxy.before(Number(new URL(tus.url).port));
    await use(proxy);
    await proxy.close();
  },
});

/** Choose the file, as a user does, and begin to send it. */
async function begin(page: Page, site: string, url: string, path: string): Promise<void> {
  await page.goto(site);
  await page.locator("input").setInputFiles(path);
  await page.evaluate(async (server) => {
    const { Upload } = (await import("/lading.js" as string)) as Client;
    const [file] = document.querySelector("input")?.files ?? [];
    if (!file) throw new Error("no file is chosen");
    const kept = globalThis as unknown as Kept;
    const upload = (kept.upload = new Upload(file, { url: server, chunkSize: 1_000_000 }));
    kept.result = {};
    upload.start().then(
      ({ url: stored }) => (kept.result = { url: stored, resumedFrom: upload.resumedFrom }),
      ({ code }: { code: string }) => (kept.result = { error: code }),
    );
  }, url);
}

const stored = (page: Page) => page.evaluate(() => (globalThis as unknown as Kept).upload.stored);
const result = (page: Page) => page.evaluate(() => (globalThis as unknown as Kept).result);
const idOf = (page: Page) => page.evaluate(() => (globalThis as unknown as Kept).upload.id);
const kept = (page: Page) => page.evaluate(() => Object.values({ ...localStorage }) as string[]);

test("an upload is cut, the page is loaded again, and the rest arrives", async ({ page, site, tus, before, folder }) => {
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 12 * MB);
  const url = `${before.url}/files`;
  before.allow(5 * MB);
  await begin(page, site, url, path);
  await expect.poll(() => stored(page)).toBeGreaterThan(2 * MB);
  before.cut();
  await expect.poll(() => page.evaluate(() => (globalThis as unknown as Kept).upload.state)).toBe("connecting");
  before.allow(Infinity);
  before.mend();
  before.rate = 4 * MB;
  const first = await idOf(page);
  await expect.poll(() => stored(page)).toBeGreaterThan(4 * MB);
  before.rate = Infinity;
  await begin(page, site, url, path);
  await expect.poll(() => result(page)).toHaveProperty("url");
  const { url: address, resumedFrom } = await result(page);
  expect(address).toBe(first);
  expect(resumedFrom).toBeGreaterThan(4 * MB);
  expect(await tus.sha256(address ?? "")).toBe(sha256);
  expect(await kept(page)).toEqual([]);
  // A few parts are sent again: where it was cut, and where the page went away.
  expect(before.sent).toBeLessThan(16 * MB);
});

test("a cancelled upload is deleted on the server, and forgotten by the browser", async ({ page, site, tus, before, folder }) => {
  const path = join(folder, "film.mp4");
  await sample(path, 12 * MB);
  before.rate = 4 * MB;
  await begin(page, site, `${before.url}/files`, path);
  await expect.poll(() => stored(page)).toBeGreaterThan(MB);
  const address = await idOf(page);
  expect(await kept(page)).toEqual([address]);
  await page.evaluate(() => (globalThis as unknown as Kept).upload.cancel());
  expect(await result(page)).toEqual({ error: "cancelled" });
  expect((await tus.head(address ?? "")).status).toBe(404);
  expect(await kept(page)).toEqual([]);
});
