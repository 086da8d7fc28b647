/** Many files at once: the page stays usable, a failure stops nothing else, and nothing is stored twice. */

import { chmod, mkdir, writeFile } from "node:fs/promises";
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
  await page.locator(".uppy-Dashboard").dispatchEvent("drop", { dataTransfer: transfer });
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
  const many = page.getByRole("region", { name: `Uploading: ${count.toLocaleString("en")} files` });
  await drop(page, count);
  await expect(many).toBeVisible();
  const longest = await watchTasks(page);
  const begun = Date.now();
  const before = (await stored(server));
  // The page takes input while everything is queued.
  await page.getByLabel("Search by name").fill("f99");
  await expect(many).toContainText("files a second");
  await expect.poll(() => stored(server), { timeout: 60_000 }).toBeGreaterThan(1000);
  const rate = ((await stored(server)) - before) / ((Date.now() - begun) / 1000);
  const task = await longest();
  test.info().annotations.push({ type: "measured", description: `${rate.toFixed(0)} files/s, longest task ${task.toFixed(0)} ms` });
  console.log(`${rate.toFixed(0)} files/s, longest task ${task.toFixed(0)} ms`);
  expect(task).toBeLessThan(LONGEST_TASK);
  // Everything can be stopped, and what is there stays.
  await many.getByRole("button", { name: "Pause" }).click();
  const paused = page.getByRole("region", { name: /^Paused/ });
  await expect(paused).toBeVisible();
  await paused.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel the rest" }).click();
  await expect(page.getByRole("heading", { name: /^Cancelled after [\d,]+ files/ })).toBeVisible();
  expect(await server.uploads()).toEqual([]);
  await expect(library.page.locator(".card").first()).toBeVisible();
});

/** How many of the files of `drop` are stored. */
async function stored(server: { ask: (path: string) => Promise<Response> }): Promise<number> {
  const usage = (await (await server.ask("/v1/usage")).json()) as { used: number };
  return Math.round(usage.used / 880);
}
