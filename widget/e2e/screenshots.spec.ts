/** Takes the screenshots of docs/images, with SCREENSHOTS=1 in the environment. */

import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { MB, sample, video } from "./samples.js";
import type { Server } from "./server.js";
import { film } from "./films.js";
import { chooseInDashboard, expect, test } from "./world.js";

const FOLDER = resolve(import.meta.dirname, "../../docs/images");

test.skip(process.env["SCREENSHOTS"] !== "1", "only when SCREENSHOTS=1 asks for them");
test.use({ viewport: { width: 1280, height: 800 }, settings: { LADING_DEFAULT_QUOTA: "1GB" } });

async function shoot(page: Page, name: string, prefix = "page-"): Promise<void> {
  await page.mouse.move(0, 0);
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const path = join(FOLDER, `${prefix}${name}`);
  await page.screenshot({ path: `${path}.png`, animations: "disabled", caret: "hide" });
  await promisify(execFile)("ffmpeg", ["-nostdin", "-loglevel", "error", "-y", "-i", `${path}.png`, "-quality", "82", `${path}.webp`]);
  await rm(`${path}.png`);
}

/** A PDF of one page with some lines. */
function letter(): Uint8Array<ArrayBuffer> {
  const lines = ["Contract 2026", "", "between Ann Meyer, sailmaker, and the harbour of Kappeln,", "on two berths from May to September.", "", "1. The berths have water and power.", "2. The rent is paid each month."];
  const text = lines.map((line, at) => `BT /F1 ${at ? 12 : 22} Tf 60 ${320 - at * 26} Td (${line}) Tj ET`).join("\n");
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 560 380] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    `<< /Length ${text.length} >>\nstream\n${text}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  ];
  let body = "%PDF-1.4\n";
  const places = objects.map((object, at) => {
    const place = body.length;
    body += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join("");
  const trailer = `trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`;
  return new TextEncoder().encode(`${body}xref\n0 6\n0000000000 65535 f \n${table}${trailer}`);
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
  const put = (name: string, body: BodyInit, type: string, tags: string[] = [], directory = "") => {
    const query = new URLSearchParams([["name", name], ["directory", directory], ...tags.map((tag): [string, string] => ["tag", tag])]);
    return server.ask(`/v1/files?${query}`, { method: "POST", body, headers: { "Content-Type": type } });
  };
  for (const [folder, hue] of [["Regatta 2026/Day 1", 190], ["Regatta 2026/Day 2", 210], ["Regatta 2026", 230], ["Holiday/Denmark", 20], ["Podcast", 80]] as const) {
    for (const name of ["Start.webp", "Sails.webp"]) await put(name, await landscape(page, hue), "image/webp", [], folder);
  }
  await put("Subtitles.srt", "1\n00:00:01,000 --> 00:00:04,000\nWelcome to the regatta.\n", "application/x-subrip", ["podcast"]);
  await put("Contract 2026.pdf", letter(), "application/pdf", ["office"]);
  await put("Interview, uncut.wav", new Uint8Array(900_000), "audio/wav", ["podcast"]);
  await put("Dunes at noon.webp", await landscape(page, 30), "image/webp", ["holiday"]);
  await put("Lake, first light.webp", await landscape(page, 200), "image/webp", ["holiday", "print"]);
  await put("Forest.webp", await landscape(page, 120), "image/webp", ["holiday"]);
  await put("Harbour timelapse.webm", await video(page, 60, 100_000), "video/webm", ["holiday", "timelapse"]);
  await put("Evening at the pier.webp", await landscape(page, 320), "image/webp", ["holiday", "print"]);
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
  const ready = async (here: Page) => {
    await expect(here.locator(".preview img").first()).toHaveJSProperty("complete", true);
    await expect(here.locator(".placeholder")).toHaveCount(0);
  };
  const dialog = (name: string) => page.getByRole("dialog", { name });
  await shoot(page, "empty");
  await stock(page, server);
  await page.reload();
  await expect(page.locator(".card")).toHaveCount(11);
  await ready(page);
  await shoot(page, "library");
  await page.getByLabel("Select Forest.webp").check({ force: true });
  await page.getByLabel("Select Lake, first light.webp").check({ force: true });
  await shoot(page, "selected");
  await page.getByRole("toolbar").getByRole("button", { name: "Move" }).click();
  await expect(dialog("Move 2 files").getByRole("button", { name: "Regatta 2026" })).toBeVisible();
  await shoot(page, "move");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Select nothing" }).click();
  await library.card("Regatta 2026").click();
  await page.getByRole("navigation", { name: "Folders" }).getByRole("button", { name: "Folders in Regatta 2026" }).click();
  await page.getByRole("button", { name: "List" }).click();
  await ready(page);
  await shoot(page, "folder");
  await page.getByRole("button", { name: "Grid" }).click();
  await page.getByRole("navigation", { name: "Path" }).getByRole("link", { name: "Library" }).click();

  await began(server, "Keynote, camera 2.mp4", 90 * MB, 50);
  await page.reload();
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeVisible();
  network.rate = 6 * MB;
  const paths = ["Sailing regatta.mp4", "Sailing, drone.mov", "Crew list.txt"].map((name) => join(folder, name));
  await sample(paths[0] as string, 60 * MB);
  await sample(paths[1] as string, 50 * MB);
  await sample(paths[2] as string, 2_000);
  await library.choose(...paths);
  await expect(library.status).toContainText(/[3-6]\d\s% · .*left/);
  await ready(page);
  await shoot(page, "uploading");
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "dark");
  await page.emulateMedia({ colorScheme: "light" });
  network.cut();
  await expect(page.getByText("No connection to the server.")).toBeVisible();
  await shoot(page, "offline");
  network.mend();
  network.rate = Infinity;
  await expect(library.complete).toBeVisible();
  await sample(paths[2] as string, 3_000);
  await library.choose(paths[2] as string);
  await expect(dialog("A file of this name is there")).toBeVisible();
  await shoot(page, "exists");
  await page.keyboard.press("Escape");

  const film = await library.open("Harbour timelapse.webm");
  await film.locator("video").evaluate(async (element: HTMLVideoElement) => {
    const sought = new Promise((done) => element.addEventListener("seeked", done, { once: true }));
    element.currentTime = 24;
    await sought;
  });
  await expect(film.locator("video")).toHaveJSProperty("readyState", 4);
  await shoot(page, "player");
  await film.getByRole("button", { name: "Share" }).click();
  await dialog("Share Harbour timelapse.webm").getByLabel("Password").fill("regatta");
  await page.getByRole("button", { name: "Make a link" }).click();
  await expect(page.getByRole("textbox", { name: "The link" })).toBeVisible();
  await shoot(page, "share");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  const contract = await library.open("Contract 2026.pdf");
  await expect(contract.getByRole("img", { name: "Page 1 of 1 of Contract 2026.pdf" })).toBeVisible();
  await page.waitForTimeout(1_000); // drawing tells nothing
  await shoot(page, "pdf");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Links" }).click();
  await expect(page.getByRole("list", { name: "Links" })).toContainText("Harbour");
  await shoot(page, "links");

  const phone = library.in(await context.newPage());
  await phone.page.setViewportSize({ width: 390, height: 844 });
  await phone.enter();
  await ready(phone.page);
  await shoot(phone.page, "phone");
  await phone.page.emulateMedia({ colorScheme: "dark" });
  await phone.page.evaluate(() => document.getElementById("library")?.scrollIntoView());
  await shoot(phone.page, "phone-dark");
  await phone.page.emulateMedia({ colorScheme: "light" });
  const opened = await phone.open("Harbour timelapse.webm");
  await expect(opened.locator("video")).toHaveJSProperty("duration", 60);
  await shoot(phone.page, "phone-player");
});

test("screenshots of the trash and of what admins see", async ({ library, page, server }) => {
  for (const [name, hue] of [["Fog.webp", 200], ["Twice.webp", 20], ["Blurred.webp", 120]] as const) {
    const { _id } = await server.put(name, await landscape(page, hue), "image/webp");
    await server.ask(`/v1/files/${_id}?trash=true`, { method: "DELETE" });
  }
  await server.put("Evening at the pier.webp", await landscape(page, 300), "image/webp");
  await server.ask("/v1/uploads", { method: "POST", body: JSON.stringify({ name: "Regatta.mp4", size: 90 * MB }) });
  await server.ask("/v1/users/ann/quota", { method: "PUT", body: JSON.stringify({ quota: 5e9 }) });
  await page.goto(`${new URL(page.url()).origin}/#trash`);
  await expect(page.getByText("Twice.webp")).toBeVisible();
  await shoot(page, "trash");
  await page.getByRole("link", { name: "Admin" }).click();
  await expect(page.getByText("Regatta.mp4")).toBeVisible();
  await shoot(page, "admin", "");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot(page, "phone-admin", "");
  await expect(library.page.getByRole("heading", { name: "Admin" })).toBeVisible();
});

/** A small picture of a page for people without an account, as WebP. */
async function shootSmall(page: Page, folder: string, name: string): Promise<void> {
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  const options = ["-nostdin", "-loglevel", "error", "-y", "-i", path, "-quality", "80"];
  await promisify(execFile)("ffmpeg", [...options, join(FOLDER, `${name}.webp`)]);
}

test("screenshots of the pages of links", async ({ page, context, server, network, folder }) => {
  test.slow();
  const put = (name: string, directory: string, body: Uint8Array<ArrayBuffer>, type: string) =>
    server.ask(`/v1/files?${new URLSearchParams({ name, directory })}`, { method: "POST", body, headers: { "Content-Type": type } });
  const mint = async (fields: object) =>
    (await (await server.ask("/v1/grants", { method: "POST", body: JSON.stringify(fields) })).json()) as { id: string; url: string };
  await put("Harbour.mp4", "Holiday", await film(folder, "faststart.mp4", 20, "200k"), "video/mp4");
  for (const [name, hue] of [["Dunes at noon.webp", 30], ["Lake, first light.webp", 200]] as const) {
    await put(name, "Holiday", await landscape(page, hue), "image/webp");
  }
  await put("Forest.webp", "Holiday/Walks", await landscape(page, 120), "image/webp");
  const { url, id } = await mint({ action: "share", directory: "Holiday" });
  const locked = await mint({ action: "share", directory: "Holiday", password: "sesame" });
  await page.setViewportSize({ width: 1000, height: 640 });
  const views = [
    ["light", { width: 1000, height: 640 }],
    ["dark", { width: 390, height: 720 }],
  ] as const;
  for (const [colorScheme, size] of views) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await expect.poll(async () => {
      await page.goto(server.url + url);
      return page.locator("ul.list img").evaluateAll((images) => images.filter((each) => (each as HTMLImageElement).naturalWidth > 0).length);
    }).toBe(3);
    await shootSmall(page, folder, `link-folder-${colorScheme}`);
    await page.getByRole("link", { name: "Harbour.mp4", exact: true }).click();
    await page.locator("video").evaluate(async (element: HTMLVideoElement) => {
      const sought = new Promise((done) => element.addEventListener("seeked", done, { once: true }));
      element.currentTime = 12;
      await sought;
    });
    await shootSmall(page, folder, `link-film-${colorScheme}`);
    await page.goto(server.url + locked.url);
    await shootSmall(page, folder, `link-password-${colorScheme}`);
    await page.goto(`${server.url}/s/lg_${"x".repeat(43)}`);
    await shootSmall(page, folder, `link-nothing-${colorScheme}`);
    await server.ask(`/v1/grants/${id}`, { method: "PATCH", body: JSON.stringify({ expires_in: 0.001 }) });
    await page.goto(server.url + url);
    await shootSmall(page, folder, `link-expired-${colorScheme}`);
    await server.ask(`/v1/grants/${id}`, { method: "PATCH", body: JSON.stringify({ expires_in: 86_400 }) });
  }

  const asked = await mint({ action: "request", directory: "Wedding", max_size: 50_000 * MB });
  for (const name of ["Ceremony.mp4", "Speeches.mp4"]) await sample(join(folder, name), 30 * MB);
  for (const [colorScheme, size] of views) {
    const guest = await context.newPage();
    await guest.emulateMedia({ colorScheme });
    await guest.setViewportSize(size);
    await guest.goto(network.url + asked.url);
    if (colorScheme === "light") {
      await shootSmall(guest, folder, "request-name-light");
      await guest.getByLabel("Your name").fill("Aunt Mia");
      await guest.keyboard.press("Enter");
    }
    network.rate = 4 * MB;
    await chooseInDashboard(guest, join(folder, colorScheme === "light" ? "Ceremony.mp4" : "Speeches.mp4"));
    await expect(guest.locator(".uppy-StatusBar")).toContainText(/[3-6]\d%/);
    await shootSmall(guest, folder, `request-${colorScheme}`);
    network.rate = Infinity;
    await expect(guest.getByText(colorScheme === "light" ? "Ceremony.mp4, 30.0 MB" : "Speeches.mp4, 30.0 MB")).toBeVisible();
    await shootSmall(guest, folder, `request-sent-${colorScheme}`);
    await guest.close();
  }
});

test.describe("with accounts", () => {
  test.use({ settings: { LADING_AUTH: "accounts", LADING_SIGNUP: "invite" } });

  test("screenshots of signing in and of an account", async ({ page, server }) => {
    const body = JSON.stringify({ action: "signup" });
    const { url } = (await (await server.ask("/v1/grants", { method: "POST", body })).json()) as { url: string };
    await page.goto(server.url);
    await expect(page.getByLabel("Name")).toBeVisible();
    await shoot(page, "sign-in");
    await page.goto("about:blank");
    await page.goto(server.url + url);
    await expect(page.getByText("You are invited.")).toBeVisible();
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot(page, "sign-up");
    await page.emulateMedia({ colorScheme: "light" });
    await page.getByLabel("Name").fill("ann");
    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Make the account" }).click();
    await page.getByRole("button", { name: "ann", exact: true }).click();
    await expect(page.getByRole("dialog")).toContainText("Chrom");
    await shoot(page, "account");
  });
});
