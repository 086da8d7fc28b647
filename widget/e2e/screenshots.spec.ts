/** Takes the screenshots of docs/images, with SCREENSHOTS=1 in the environment. */

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { MB, sample, video } from "./samples.js";
import type { Server } from "./server.js";
import { expect, test } from "./world.js";

const FOLDER = resolve(import.meta.dirname, "../../docs/images");

test.skip(process.env["SCREENSHOTS"] !== "1", "only when SCREENSHOTS=1 asks for them");
test.use({ viewport: { width: 1280, height: 800 }, settings: { LADING_DEFAULT_QUOTA: "1GB" } });

async function shoot(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.screenshot({ path: join(FOLDER, `${name}.png`), animations: "disabled", caret: "hide" });
}

/** Draws a landscape. */
async function landscape(page: Page, hue: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await page.evaluate(async (hue) => {
    const canvas = new OffscreenCanvas(480, 300);
    const context = canvas.getContext("2d");
    if (context) {
      const sky = context.createLinearGradient(0, 0, 0, 300);
      sky.addColorStop(0, `hsl(${hue} 70% 42%)`);
      sky.addColorStop(1, `hsl(${hue + 50} 90% 78%)`);
      context.fillStyle = sky;
      context.fillRect(0, 0, 480, 300);
      context.fillStyle = "#fff8";
      context.beginPath();
      context.arc(120 + (hue % 240), 90, 30, 0, 7);
      context.fill();
      for (let layer = 0; layer < 4; layer++) {
        context.fillStyle = `hsl(${hue - 20} 45% ${38 - layer * 9}%)`;
        context.beginPath();
        context.moveTo(0, 300);
        for (let x = 0; x <= 480; x += 12) {
          context.lineTo(x, 170 + layer * 32 - 28 * Math.sin(x / (70 - layer * 9) + hue + layer * 2));
        }
        context.lineTo(480, 300);
        context.fill();
      }
    }
    return Array.from(new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 0.8 })).arrayBuffer()));
  }, hue);
  return new Uint8Array(bytes);
}

async function stock(page: Page, server: Server): Promise<void> {
  const put = server.put.bind(server);
  await put("Contract 2026.pdf", "%PDF-1.7", "application/pdf", ["office"]);
  await put("Interview, uncut.wav", new Uint8Array(900_000), "audio/wav", ["podcast"]);
  await put("Dunes at noon.webp", await landscape(page, 30), "image/webp", ["holiday"]);
  await put("Lake, first light.webp", await landscape(page, 200), "image/webp", ["holiday", "print"]);
  await put("Harbour timelapse.webm", await video(page, 60, 100_000), "video/webm", ["holiday", "timelapse"]);
  await put("Forest.webp", await landscape(page, 120), "image/webp", ["holiday"]);
  await put("Evening at the pier.webp", await landscape(page, 320), "image/webp", ["holiday", "print"]);
  await put("Subtitles.srt", "1\n", "application/x-subrip", ["podcast"]);
}

/** An unfinished upload of another device, with some pieces stored. */
async function began(server: Server, name: string, size: number, pieces: number): Promise<void> {
  const answer = await server.ask("/v1/uploads", { method: "POST", body: JSON.stringify({ name, size }) });
  const { _id, chunk_size } = (await answer.json()) as { _id: string; chunk_size: number };
  for (let at = 0; at < pieces * chunk_size; at += chunk_size) {
    await server.ask(`/v1/uploads/${_id}/chunks/${at}`, { method: "PUT", body: new Uint8Array(chunk_size) });
  }
}

test("screenshots of the page", async ({ library, page, context, server, network, folder }) => {
  test.slow();
  await mkdir(FOLDER, { recursive: true });
  await shoot(page, "empty");
  await stock(page, server);
  await page.reload();
  await expect(page.locator(".card")).toHaveCount(8);
  await expect(page.locator(".preview img").first()).toHaveJSProperty("complete", true);
  await shoot(page, "library");

  await began(server, "Keynote, camera 2.mp4", 90 * MB, 50);
  await page.reload();
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeVisible();
  network.rate = 6 * MB;
  const paths = ["Sailing regatta.mp4", "Sailing, drone.mov"].map((name) => join(folder, name));
  await sample(paths[0] as string, 60 * MB);
  await sample(paths[1] as string, 50 * MB);
  await library.choose(...paths);
  await expect(library.status).toContainText(/[3-6]\d%/);
  await shoot(page, "uploading");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "dark");
  await page.emulateMedia({ colorScheme: "light" });
  network.cut();
  await expect(page.getByText("No connection to the server.")).toBeVisible();
  await shoot(page, "offline");
  network.mend();
  await expect(page.getByText("No connection to the server.")).toBeHidden();
  await library.status.getByRole("button", { name: "Pause", exact: true }).click();
  await expect(library.status.getByText("Paused")).toBeVisible();
  await shoot(page, "paused");
  network.rate = Infinity;
  await library.status.getByRole("button", { name: "Resume", exact: true }).click();
  await expect(library.complete).toBeVisible();
  await expect(page.locator(".card")).toHaveCount(10);
  await shoot(page, "done");

  const dialog = await library.open("Harbour timelapse.webm");
  await dialog.locator("video").evaluate(async (element: HTMLVideoElement) => {
    const sought = new Promise((done) => element.addEventListener("seeked", done, { once: true }));
    element.currentTime = 24;
    await sought;
  });
  await expect(dialog.locator("video")).toHaveJSProperty("readyState", 4);
  await shoot(page, "player");

  const phone = library.in(await context.newPage());
  await phone.page.setViewportSize({ width: 390, height: 844 });
  await phone.enter();
  await expect(phone.page.locator(".preview img").first()).toHaveJSProperty("complete", true);
  await shoot(phone.page, "phone");
  await phone.page.getByRole("heading", { name: "Library" }).scrollIntoViewIfNeeded();
  await phone.page.evaluate(() => document.getElementById("library")?.scrollIntoView());
  await shoot(phone.page, "phone-library");
  const opened = await phone.open("Harbour timelapse.webm");
  await expect(opened.locator("video")).toHaveJSProperty("duration", 60);
  await shoot(phone.page, "phone-player");
});
