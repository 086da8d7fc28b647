/** Films in a real browser: while they arrive, when their link expires, and by their link in a tab. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { type Film, film, picture, Sending, sound } from "./films.js";
import { expect, test } from "./world.js";

interface Played {
  time: number;
  duration: number;
  ended: boolean;
  error: number | null;
  started: boolean;
}

/** Put a player into the page. */
async function play(page: Page, src: string, preload = "auto"): Promise<() => Promise<Played>> {
  await page.evaluate(
    ([src, preload]) => {
      const video = document.createElement("video");
      video.id = "player";
      video.muted = true;
      video.preload = preload as "auto" | "metadata";
      video.addEventListener("playing", () => (video.dataset["started"] = "yes"));
      video.src = src as string;
      document.body.replaceChildren(video);
      if (preload === "auto") video.play().catch(() => undefined);
    },
    [src, preload],
  );
  return () =>
    page.evaluate(() => {
      const video = document.querySelector<HTMLVideoElement>("#player");
      if (!video) throw new Error("no player");
      const { currentTime: time, duration, ended, error, dataset } = video;
      return { time, duration, ended, error: error?.code ?? null, started: dataset["started"] === "yes" };
    });
}

const FILMS: [Film, string, boolean][] = [
  ["faststart.mp4", "video/mp4", true],
  ["fragments.mp4", "video/mp4", true],
  ["film.webm", "video/webm", true],
  ["fragments.mp4", "video/mp4", false],
  ["film.webm", "video/webm", false],
];

for (const [kind, type, known] of FILMS) {
  test(`${kind} plays to the end while it arrives, its size ${known ? "known" : "unknown"}`, async ({ page, server, folder }) => {
    const bytes = await film(folder, kind, 6, "1500k");
    const sending = await Sending.begin(server, kind, type, bytes, known ? bytes.length : null);
    await page.goto(`${server.url}/?token=${server.token}`);
    await sending.send(2);
    const state = await play(page, sending.path);
    await sending.send(8);
    await expect.poll(async () => (await state()).started).toBe(true);
    expect(sending.whole).toBe(false);
    // The player uses up what is there, and waits.
    await sending.send(Infinity, 150);
    await sending.finish();
    await expect.poll(async () => (await state()).ended || (await state()).error).toBe(true);
    const { error, time } = await state();
    expect(error).toBeNull();
    expect(time).toBeGreaterThan(5.8);
  });
}

test("a player says so when the upload that it plays is aborted", async ({ page, server, folder }) => {
  const bytes = await film(folder, "film.webm", 6, "1500k");
  const sending = await Sending.begin(server, "film.webm", "video/webm", bytes, bytes.length);
  await page.goto(`${server.url}/?token=${server.token}`);
  await sending.send(8);
  const state = await play(page, sending.path);
  await expect.poll(async () => (await state()).started).toBe(true);
  await sending.abort();
  await expect.poll(async () => (await state()).error).toBe(2);
});

// -- a link that expires

async function link(server: { ask: (path: string, options: RequestInit) => Promise<Response> }, id: string, seconds: number): Promise<string> {
  const body = JSON.stringify({ action: "download", file_id: id, expires_in: seconds });
  return ((await (await server.ask("/v1/grants", { method: "POST", body })).json()) as { url: string }).url;
}

/** A page of another origin: the browser keeps it from answers that are not for players. */
const site = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<body></body>"));

test.beforeAll(async () => void (await once(site.listen(0, "127.0.0.1"), "listening")));
test.afterAll(() => void site.close());

async function paused(page: Page, address: string): Promise<() => Promise<Played>> {
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
  const state = await play(page, address, "metadata");
  await expect.poll(async () => (await state()).duration).toBeGreaterThan(5);
  return state;
}

async function resume(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const video = document.querySelector<HTMLVideoElement>("#player");
    if (!video) throw new Error("no player");
    video.currentTime = video.duration - 2;
    await video.play().catch(() => undefined);
  });
}

test("who has begun to watch may end, though the link expired meanwhile", async ({ page, server, folder }) => {
  const { _id } = await server.put("film.mp4", await film(folder, "faststart.mp4", 10, "12M"), "video/mp4");
  const url = await link(server, _id, 4);
  const state = await paused(page, server.url + url);
  await expect.poll(async () => (await fetch(server.url + url)).status).toBe(403);
  await resume(page);
  await expect.poll(async () => (await state()).ended || (await state()).error).toBe(true);
  expect((await fetch(server.url + url, { headers: { Range: "bytes=0-", "User-Agent": "another" } })).status).toBe(403);
});

test.describe("without a grace", () => {
  test.use({ settings: { LADING_WATCH_GRACE: "0" } });

  test("a player says so when its link has expired", async ({ page, server, folder }) => {
    const { _id } = await server.put("film.mp4", await film(folder, "faststart.mp4", 10, "12M"), "video/mp4");
    const url = await link(server, _id, 4);
    const state = await paused(page, server.url + url);
    await expect.poll(async () => (await fetch(server.url + url)).status).toBe(403);
    await resume(page);
    await expect.poll(async () => (await state()).error).toBe(2);
    const late = await play(page, server.url + url);
    await expect.poll(async () => (await late()).error).not.toBeNull();
  });
});

// -- in a tab

const PDF = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj
trailer<</Root 1 0 R>>
`;

test("what cannot run is shown by its link in a tab", async ({ page, server, folder }) => {
  await page.goto(`${server.url}/?token=${server.token}`);
  for (const [kind, type, bytes] of [
    ["a.mp4", "video/mp4", await film(folder, "faststart.mp4", 3, "500k")],
    ["a.webm", "video/webm", await film(folder, "film.webm", 3, "500k")],
    ["a.mp3", "audio/mpeg", await sound(folder)],
  ] as const) {
    const { _id } = await server.put(kind, bytes, type);
    await page.goto(`${server.url}/v1/files/${_id}`);
    await expect.poll(() => page.evaluate(() => document.querySelector("video")?.currentTime), kind).toBeGreaterThan(0.2);
  }
  const image = await server.put("a.png", await picture(folder), "image/png");
  await page.goto(`${server.url}/v1/files/${image._id}`);
  expect(await page.evaluate(() => document.querySelector("img")?.naturalWidth)).toBe(480);
  const text = await server.put("a.txt", "plain <b>text</b>", "text/plain");
  await page.goto(`${server.url}/v1/files/${text._id}`);
  await expect(page.getByText("plain <b>text</b>")).toBeVisible();
  const pdf = await server.put("a.pdf", PDF, "application/pdf");
  await page.goto(`${server.url}/v1/files/${pdf._id}`);
  // The browser's viewer is a frame of an extension.
  await expect.poll(() => page.frames().some((frame) => frame.url().startsWith("chrome-extension:"))).toBe(true);
});

test("what can run is saved, and nothing of it runs", async ({ page, server }) => {
  await page.goto(`${server.url}/?token=${server.token}`);
  const script = "document.title = 'ran'";
  for (const [name, type, bytes] of [
    ["a.html", "text/html", `<script>${script}</script>`],
    ["a.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"><script>${script}</script></svg>`],
    ["a.xml", "application/xml", `<html xmlns="http://www.w3.org/1999/xhtml"><script>${script}</script></html>`],
    ["a.xhtml", "application/xhtml+xml", `<html xmlns="http://www.w3.org/1999/xhtml"><script>${script}</script></html>`],
    ["a.js", "text/javascript", script],
    ["a.mht", "multipart/related", script],
    ["a.bin", "application/x-unknown", `<script>${script}</script>`],
    ["a.png", "image/png", `<script>${script}</script>`],
    ["a.pdf", "application/pdf", `<script>${script}</script>`],
    ["a.txt", "text/plain;charset=utf-7", "+ADw-script+AD4-document.title='ran'+ADw-/script+AD4-"],
  ] as const) {
    const { _id } = await server.put(name, bytes, type);
    const answer = await server.ask(`/v1/files/${_id}`);
    const saved = answer.headers.get("content-disposition")?.startsWith("attachment");
    if (name !== "a.txt" && name !== "a.pdf") expect(saved, name).toBe(true);
    const download = saved ? page.waitForEvent("download") : Promise.resolve();
    await page.goto(`${server.url}/v1/files/${_id}`).catch((error: unknown) => expect(String(error)).toContain("Download"));
    await download;
    expect(await page.title()).not.toBe("ran");
  }
});
