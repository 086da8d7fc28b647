/** Many files at once: the page stays usable, a failure stops nothing else, and nothing is stored twice. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { MB, sample } from "./samples.js";
import { expect, test } from "./world.js";

/** Milliseconds: far above what is measured (see docs/field-notes.md), far below what a user notices as a hang. */
const LONGEST_TASK = 1_000;

/** Drop so many files of some 900 bytes on the page. */
async function drop(page: Page, count: number, prefix = "f"): Promise<void> {
  const transfer = await page.evaluateHandle(
    ([count, prefix]) => {
      const dropped = new DataTransfer();
      for (let each = 0; each < count; each++) {
        dropped.items.add(new File([`file ${each} `.repeat(90)], `${prefix}${each}.txt`, { type: "text/plain" }));
      }
      return dropped;
    },
    [count, prefix] as const,
  );
  await page.locator(".chooser").dispatchEvent("drop", { dataTransfer: transfer });
}

/** Note the longest task of the main thread from now on. */
async function watchTasks(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const noted = window as unknown as { longest: number };
    noted.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) noted.longest = Math.max(noted.longest, duration);
    }).observe({ type: "longtask" });
  });
  return () => page.evaluate(() => (window as unknown as { longest: number }).longest);
}

test("10,000 dropped files leave the page usable", async ({ library, page, server }) => {
  test.slow();
  const count = Number(process.env["MANY"] ?? 10_000);
  const many = page.getByRole("region", { name: `Uploading ${count.toLocaleString("en")} files` });
  await drop(page, count);
  await expect(many).toBeVisible();
  const longest = await watchTasks(page);
  const begun = Date.now();
  const before = (await stored(server));
  // The page takes input while everything is queued.
  await page.getByLabel("Search by name").fill("f99");
  await expect(many).toContainText(/[kM]?B\/s/);
  await expect.poll(() => stored(server), { timeout: 60_000 }).toBeGreaterThan(300);
  const rate = ((await stored(server)) - before) / ((Date.now() - begun) / 1000);
  const task = await longest();
  test.info().annotations.push({ type: "measured", description: `${rate.toFixed(0)} files/s, longest task ${task.toFixed(0)} ms` });
  console.log(`${rate.toFixed(0)} files/s, longest task ${task.toFixed(0)} ms`);
  expect(task).toBeLessThan(LONGEST_TASK);
  // Everything can be stopped, and what is there stays.
  await many.getByRole("button", { name: "Pause", exact: true }).click();
  const paused = page.getByRole("region", { name: /^Paused/ });
  await expect(paused).toBeVisible();
  await paused.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel the upload" }).click();
  await expect(page.getByRole("heading", { name: /^Cancelled after [\d,]+ files/ })).toBeVisible();
  expect(await server.uploads()).toEqual([]);
  await expect(library.page.locator(".card").first()).toBeVisible();
});

test("hundreds of tiny files go by few requests, and are what they were", async ({ page, library, server }) => {
  const posts: string[] = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === "POST" && pathname.startsWith("/v1/files")) posts.push(pathname);
  });
  await drop(page, 300);
  await expect(page.getByRole("region", { name: "300 files uploaded" })).toBeVisible();
  const stored = (await server.files()).map(({ name, size, sha256 }) => [name, size, sha256]);
  const sent = Array.from({ length: 300 }, (_, each) => {
    const bytes = `file ${each} `.repeat(90);
    return [`f${each}.txt`, bytes.length, createHash("sha256").update(bytes).digest("hex")];
  });
  expect(stored.sort()).toEqual(sent.sort());
  expect(posts.length).toBeLessThan(100);
  expect(posts).toContain("/v1/files/batch");
  await expect(library.page.locator(".card").first()).toBeVisible();
});

test("after a reload in the middle, the same files dropped again are stored once", async ({ library, page, server }) => {
  test.slow();
  const many = 990; // some hundred are under way at once
  await drop(page, many);
  await expect.poll(() => stored(server)).toBeGreaterThan(60);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await expect(page.locator(".chooser")).toBeVisible();
  await drop(page, many);
  const region = page.getByRole("region", { name: /^990 files (uploaded|already there)$/ });
  await expect(region).toContainText("not sent: already there", { timeout: 120_000 });
  const names = (await server.files()).map(({ name }) => name);
  expect([names.length, new Set(names).size]).toEqual([many, many]);
  // A finished batch can be closed.
  await region.getByRole("button", { name: "Close" }).click();
  await expect(region).toBeHidden();
  await expect(library.page.locator(".card").first()).toBeVisible();
});

test("large, small, empty and oddly named files of one folder, of which some cannot be read", async ({ library, server }) => {
  const { page } = library;
  await page.evaluate(async () => {
    const fullPath = (name: string) => `/top/${name}`;
    const entry = (name: string, read: () => File) => ({
      name,
      isFile: true,
      isDirectory: false,
      fullPath: fullPath(name),
      file: (found: (file: File) => void, failed: (error: Error) => void) => {
        try {
          found(read());
        } catch (error) {
          failed(error as Error);
        }
      },
    });
    const readable = (name: string, size: number) => entry(name, () => new File([new Uint8Array(size).fill(7)], name));
    const unreadable = (name: string) =>
      entry(name, () => {
        throw new DOMException("permission denied", "NotReadableError");
      });
    const folder = (name: string, entries: object[] | null) => ({
      name,
      isFile: false,
      isDirectory: true,
      fullPath: name === "top" ? "/top" : fullPath(name),
      createReader: () => {
        const left = entries === null ? null : [entries, []];
        return {
          readEntries: (found: (entries: object[]) => void, failed: (error: Error) => void) =>
            left === null ? failed(new DOMException("denied", "NotReadableError")) : found(left.shift() ?? []),
        };
      },
    });
    const top = folder("top", [
      ...Array.from({ length: 60 }, (_, each) => readable(`empty${each}.txt`, 0)),
      readable("a b#c?d%20e&f+g.txt", 5),
      readable("film.mp4", 3_000_000),
      unreadable("secret.txt"),
      folder("locked", null),
      folder("sub", [{ ...readable("deep.txt", 3), fullPath: "/top/sub/deep.txt" }]),
    ]);
    const items = [{ kind: "file", webkitGetAsEntry: () => top, getAsFile: () => null }];
    const event = new DragEvent("drop", { bubbles: true, cancelable: true });
    Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], items } });
    document.querySelector(".chooser")?.dispatchEvent(event);
  });
  const failed = page.getByRole("list", { name: "Failed uploads" });
  await expect(failed).toContainText("top/secret.txt The browser may not read it");
  await expect(failed).toContainText("top/locked");
  await expect(page.getByRole("region", { name: "63 files uploaded" })).toBeVisible();
  const files = (await server.files()) as unknown as { name: string; size: number; directory: string }[];
  expect(files).toHaveLength(63);
  const odd = ["a b#c?d%20e&f+g.txt", "deep.txt", "empty7.txt", "film.mp4"];
  expect(files.filter(({ name }) => odd.includes(name)).map(({ name, size, directory }) => [name, size, directory]).sort()).toEqual([
    ["a b#c?d%20e&f+g.txt", 5, "top"],
    ["deep.txt", 3, "top/sub"],
    ["empty7.txt", 0, "top"],
    ["film.mp4", 3_000_000, "top"],
  ]);
});

test.describe("with a quota", () => {
  test.use({ settings: { LADING_DEFAULT_QUOTA: "500kB" } });

  test("files that do not fit do not stop the others, and can be tried again", async ({ library, server, folder }) => {
    const { page } = library;
    const paths: string[] = [];
    for (let each = 0; each < 60; each++) {
      paths.push(join(folder, `f${each}.bin`));
      await sample(paths[each] ?? "", each === 30 ? 0.6 * MB : 4_000);
    }
    await library.choose(...paths);
    const failed = page.getByRole("region", { name: "1 file failed" });
    await expect(failed.getByRole("list", { name: "Failed uploads" })).toContainText("f30.bin The file does not fit into your quota");
    await expect(page.getByRole("region", { name: "59 files uploaded" })).toBeVisible();
    expect(await server.files()).toHaveLength(59);
    await server.ask("/v1/users/admin/quota", { method: "PUT", body: '{"quota": 9000000}' });
    await failed.getByRole("button", { name: "Try again: f30.bin" }).click();
    await expect(page.getByRole("region", { name: "60 files uploaded" })).toBeVisible();
    expect(await server.files()).toHaveLength(60);
  });
});

test("a cut network and a killed server stop no batch, and no file is stored twice", async ({ library, server, network }) => {
  test.slow();
  const { page } = library;
  await drop(page, 990);
  await expect.poll(() => stored(server)).toBeGreaterThan(40);
  network.cut();
  await expect(page.getByText("No connection to the server.")).toBeVisible();
  network.mend();
  await expect.poll(() => stored(server)).toBeGreaterThan(120);
  await server.kill();
  await server.restart();
  await expect(page.getByRole("region", { name: "990 files uploaded" })).toBeVisible({ timeout: 60_000 });
  const names = (await server.files()).map(({ name }) => name);
  expect([names.length, new Set(names).size]).toEqual([990, 990]);
});

/** How many of the files of `drop` are stored. */
async function stored(server: { ask: (path: string) => Promise<Response> }): Promise<number> {
  const usage = (await (await server.ask("/v1/usage")).json()) as { used: number };
  return Math.round(usage.used / 880);
}
