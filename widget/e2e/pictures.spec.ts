/** Images of files: in the grid and in the viewer, also of what a browser cannot show itself. */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Locator } from "@playwright/test";
import { expect, test } from "./world.js";

const SAMPLES = resolve(import.meta.dirname, "../../tests/imaging/samples");

async function sample(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(resolve(SAMPLES, name)));
}

/** The width in pixels of the image that a card shows; 0 until it is there. */
async function width(card: Locator): Promise<number> {
  const shown = card.locator(".picture > img:not(.placeholder)");
  return (await shown.count()) === 0 ? 0 : shown.evaluate((image: HTMLImageElement) => image.naturalWidth);
}

test("a phone's photo, a film and a song with a cover have an image, and a sound has its icon", async ({ library, page, server }) => {
  await server.put("phone.heic", await sample("plain.heic"), "image/heic");
  await server.put("film.webm", await sample("vp9.webm"), "video/webm");
  await server.put("song.mp3", await sample("covered.mp3"), "audio/mpeg");
  await server.put("tone.wav", await sample("grows.wav"), "audio/wav");
  await page.reload();
  for (const name of ["phone.heic", "film.webm", "song.mp3"]) {
    await expect.poll(() => width(library.card(name)), { message: name }).toBeGreaterThan(100);
  }
  await expect(library.card("tone.wav").locator(".preview > .icon")).toBeVisible();
  // No browser here can show HEIC itself.
  const photo = await library.open("phone.heic");
  await expect.poll(() => width(photo)).toBeGreaterThan(100);
  await expect(photo.getByText("Dimensions")).toBeVisible();
});

test("a blurred placeholder is there before the image", async ({ library, page, server }) => {
  const photo = await server.put("photo.jpg", await sample("orientation-6.jpg"), "image/jpeg");
  // 202 until it is made, and its placeholder with it.
  await expect.poll(async () => (await server.ask(`/v1/files/${photo._id}/4`)).status).toBe(200);
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await page.route("**/v1/files/*/4", async (route) => {
    await held;
    await route.continue();
  });
  await page.reload();
  const card = library.card("photo.jpg");
  await expect(card.locator(".placeholder")).toHaveAttribute("src", /^data:image\/webp;base64,/);
  await expect.poll(() => card.locator(".placeholder").evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  release();
  await expect.poll(() => width(card)).toBeGreaterThan(100);
  await expect(card.locator(".placeholder")).toHaveCount(0);
});

test("a file that is no image after all shows its icon", async ({ library, page, server }) => {
  await server.put("broken.heic", "no picture at all", "image/heic");
  await page.reload();
  await expect(library.card("broken.heic").locator(".preview > .icon")).toBeVisible();
});

test.describe("where the server makes no images", () => {
  test.use({ settings: { LADING_IMAGING: "0" } });

  test("a small image is its own preview", async ({ library, page, server }) => {
    await server.put("photo.jpg", await sample("orientation-1.jpg"), "image/jpeg");
    await page.reload();
    await expect.poll(() => width(library.card("photo.jpg"))).toBeGreaterThan(100);
  });
});
