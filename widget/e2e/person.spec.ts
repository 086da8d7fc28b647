/**
 * A person whom nobody taught: makes an account by an invitation, uploads a folder, loses the network, finds it, shares a
 * part with a password, and asks a stranger for files. Everybody has a browser profile of their own.
 */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "@playwright/test";
import { film } from "./films.js";
import { MB, sample } from "./samples.js";
import type { Server } from "./server.js";
import { expect, test } from "./world.js";

/** 300 MB in the acceptance of accounts and links; fewer here, as each run writes them twice. */
const BYTES = Number(process.env["REQUEST_BYTES"] ?? 30 * MB);
const DAYS = 7;

const run = promisify(execFile);

test.use({ settings: { LADING_AUTH: "accounts", LADING_SIGNUP: "invite" } });

/** 197 small files in four folders, two photos and a film: 200. */
async function holiday(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const part of ["", "/beach", "/hills", "/notes"]) await mkdir(join(folder, `holiday${part}`));
  for (let each = 0; each < 197; each++) {
    const path = `${["beach", "hills", "notes"][each % 3]}/page ${each}.txt`;
    files[path] = `The ${each}th page.\n`.repeat(400);
    await writeFile(join(folder, "holiday", path), files[path]);
  }
  for (const [name, color] of [["sea", "steelblue"], ["sand", "khaki"]]) {
    await run("ffmpeg", ["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", `color=${color}:s=800x600`, "-frames:v", "1", join(folder, `holiday/beach/${name}.jpg`)]);
  }
  await writeFile(join(folder, "holiday/beach/waves.mp4"), await film(folder, "faststart.mp4", 4, "400k"));
  return files;
}

async function profile(browser: Browser): Promise<Page> {
  return (await browser.newContext({ acceptDownloads: true })).newPage();
}

interface OfHers {
  _id: string;
  name: string;
  size: number;
  directory: string;
  sender?: string;
}

async function hers(server: Server): Promise<OfHers[]> {
  return ((await (await server.ask("/v1/files?user_id=mia&limit=1000")).json()) as { files: OfHers[] }).files;
}

test("a person signs up, uploads, finds, shares, and asks a stranger for files", async ({ page, browser, server, network, folder }) => {
  test.setTimeout(240_000);
  const files = await holiday(folder);
  const body = JSON.stringify({ action: "signup" });
  const { url } = (await (await server.ask("/v1/grants", { method: "POST", body })).json()) as { url: string };

  await test.step("makes an account by an invitation", async () => {
    await page.goto(network.url + url);
    await page.getByLabel("Name").fill("mia");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Make the account" }).click();
    await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
  });

  await test.step("uploads a folder of 200 files, and loses the network", async () => {
    network.rate = 2 * MB;
    await page.getByLabel("Folder to upload").setInputFiles(join(folder, "holiday"));
    await expect.poll(async () => (await hers(server)).length).toBeGreaterThan(20);
    network.cut();
    await expect(page.getByRole("status").or(page.getByRole("alert")).filter({ hasText: /server|connection/i }).first()).toBeVisible();
    network.rate = Infinity;
    network.mend();
    await expect(page.getByRole("heading", { name: "200 files uploaded" })).toBeVisible({ timeout: 90_000 });
    expect((await hers(server)).map(({ directory, name }) => `${directory}/${name}`).toSorted()).toEqual(
      ["beach/sea.jpg", "beach/sand.jpg", "beach/waves.mp4", ...Object.keys(files)].map((path) => `holiday/${path}`).toSorted(),
    );
  });

  await test.step("finds folders with thumbnails", async () => {
    await page.reload();
    await page.locator(".card-open").filter({ hasText: "holiday" }).click();
    await expect(page.locator(".card.folder")).toHaveCount(3);
    await page.locator(".card-open").filter({ hasText: "beach" }).click();
    for (const name of ["sea.jpg", "waves.mp4"]) {
      await page.getByLabel("Search by name").fill(name);
      const image = page.locator(".card").filter({ hasText: name }).locator("img").last();
      await expect.poll(() => image.evaluate((each: HTMLImageElement) => each.complete && each.naturalWidth)).toBeGreaterThan(100);
    }
    await page.getByLabel("Search by name").fill("");
  });

  const link = await test.step("shares one folder with a password for seven days", async () => {
    await page.getByRole("navigation", { name: "Path" }).getByRole("link", { name: "holiday" }).click();
    await page.getByLabel("Select beach").check({ force: true });
    await page.getByRole("toolbar", { name: "Selected" }).getByRole("button", { name: "Share" }).click();
    const dialog = page.getByRole("dialog", { name: "Share beach" });
    await dialog.getByLabel("How long the link works").selectOption(`${DAYS} days`);
    await dialog.getByLabel("Password").fill("sesame");
    await dialog.getByRole("button", { name: "Make a link" }).click();
    const found = await dialog.getByLabel("The link", { exact: true }).inputValue();
    await page.keyboard.press("Escape");
    return found;
  });

  await test.step("somebody else opens it, plays, and downloads the zip", async () => {
    const friend = await profile(browser);
    await friend.goto(link);
    await friend.getByLabel("Password").fill("sesame");
    await friend.keyboard.press("Enter");
    await expect(friend.getByRole("heading", { name: "beach" })).toBeVisible();
    const ends = await friend.locator("time").getAttribute("datetime");
    expect((Date.parse(ends ?? "") - Date.now()) / 86_400_000).toBeCloseTo(DAYS, 1);
    const [saved] = await Promise.all([
      friend.waitForEvent("download"),
      friend.getByRole("link", { name: "Download all as a zip file" }).click(),
    ]);
    await saved.saveAs(join(folder, "beach.zip"));
    await run("python3", ["-m", "zipfile", "-e", join(folder, "beach.zip"), join(folder, "unpacked")]);
    for (const path of Object.keys(files).filter((each) => each.startsWith("beach/"))) {
      expect(await readFile(join(folder, "unpacked", path), "utf8")).toBe(files[path]);
    }
    const original = await readFile(join(folder, "holiday/beach/waves.mp4"));
    expect(Buffer.compare(await readFile(join(folder, "unpacked/beach/waves.mp4")), original)).toBe(0);
    await friend.getByRole("link", { name: "waves.mp4", exact: true }).click();
    const video = friend.locator("video");
    await video.evaluate((each: HTMLVideoElement) => ((each.muted = true), each.play()));
    await expect.poll(() => video.evaluate((each: HTMLVideoElement) => each.currentTime)).toBeGreaterThan(0.5);
    await friend.context().close();
  });

  const asked = await test.step("asks for files", async () => {
    await page.getByRole("button", { name: "Ask for files" }).click();
    const dialog = page.getByRole("dialog", { name: /^Ask for files/ });
    await dialog.getByRole("button", { name: "Make a link" }).click();
    const found = await dialog.getByLabel("The link", { exact: true }).inputValue();
    await page.keyboard.press("Escape");
    return found;
  });

  await test.step("a stranger sends a large file, and the tab is killed in the middle", async () => {
    const digest = await sample(join(folder, "film of the wedding.bin"), BYTES);
    const stranger = await profile(browser);
    await stranger.goto(asked);
    await stranger.getByLabel("Your name").fill("Uncle Bo");
    await stranger.keyboard.press("Enter");
    const before = network.sent;
    network.allow(before + BYTES / 2);
    await stranger.locator("input[type=file][multiple]").first().setInputFiles(join(folder, "film of the wedding.bin"));
    const stored = async () => ((await (await server.ask("/v1/uploads?user_id=mia")).json()) as { uploads: { upload_size: number }[] }).uploads[0]?.upload_size ?? 0;
    await expect.poll(stored).toBeGreaterThan(BYTES / 5);
    const crashed = stranger.waitForEvent("crash");
    void (await stranger.context().newCDPSession(stranger)).send("Page.crash").catch(() => undefined);
    await crashed;
    await stranger.close();
    // What the tab handed to the browser before it died could arrive yet, and be all of the rest.
    network.cut();
    network.mend();
    network.allow(Infinity);
    const again = await stranger.context().newPage();
    await again.goto(asked);
    await expect(again.getByRole("heading", { name: "Not complete" })).toBeVisible();
    await again.locator("input[type=file][multiple]").first().setInputFiles(join(folder, "film of the wedding.bin"));
    await expect(again.getByRole("heading", { name: "Sent by you" })).toBeVisible({ timeout: 120_000 });
    expect(network.sent - before, "only the rest was sent again").toBeLessThan(BYTES * 1.4);
    const [file] = (await hers(server)).filter(({ size }) => size === BYTES);
    expect(file).toMatchObject({ name: "film of the wedding.bin", sender: "Uncle Bo" });
    expect(await server.sha256(file?._id ?? "")).toBe(digest);
    await again.context().close();
  });

  await test.step("sees who sent it", async () => {
    await page.goto(`${network.url}/`);
    await page.getByLabel("Search by name").fill("wedding");
    await page.locator(".card-open").filter({ hasText: "film of the wedding.bin" }).click();
    await expect(page.getByRole("dialog")).toContainText("Uncle Bo");
  });
});
