/** The library: search, view, change, share, delete; and uploads of other days and devices. */

import { expect, test } from "./world.js";
import { video } from "./samples.js";

test("files are found by the start of the name, by tags and by type, page by page", async ({ page, server, network }) => {
  for (let number = 0; number < 26; number++) {
    await server.put(`note ${String(number).padStart(2, "0")}.txt`, "n".repeat(number + 1), "text/plain", number % 2 ? ["odd"] : ["even"]);
  }
  await server.put("song.wav", tone(1), "audio/wav", ["odd", "loud"]);
  await page.goto(`${network.url}/?token=${server.token}`);
  const cards = page.locator(".card");
  await expect(cards).toHaveCount(24);
  await expect(cards.first()).toContainText("song.wav");
  // Another order sorts all files, not only those that are shown already.
  await page.getByLabel("Order").selectOption("By name");
  await expect(cards).toHaveCount(27);
  await expect(cards.first()).toContainText("note 00.txt");
  await page.getByLabel("Order").selectOption("Newest first");
  await expect(cards).toHaveCount(24);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(cards).toHaveCount(27);
  await page.getByLabel("Search by name").fill("note 1");
  await expect(cards).toHaveCount(10);
  const tags = page.getByRole("group", { name: "Filter by tags" });
  await tags.getByRole("button", { name: "odd" }).click();
  await expect(cards).toHaveCount(5);
  await page.getByLabel("Order").selectOption("By name");
  await expect(cards.first()).toContainText("note 11.txt");
  await page.getByLabel("Search by name").fill("");
  await expect(cards).toHaveCount(14);
  await page.getByLabel("Type").selectOption("Audio");
  await expect(cards).toHaveCount(1);
  await tags.getByRole("button", { name: "even" }).click();
  await expect(page.getByText("No files match.")).toBeVisible();
});

test("every tag can be chosen, also a rare one among many", async ({ page, server, network }) => {
  const rare = Array.from({ length: 20 }, (_, number) => `rare ${number}`);
  for (const tag of rare) await server.put(tag, "x", "text/plain", [tag, "common"]);
  // Like a server with many tags: one page of them, and a cursor.
  await page.route("**/v1/tags?*", async (route) => {
    const url = new URL(route.request().url());
    url.searchParams.set("limit", "8");
    await route.continue({ url: url.href });
  });
  await page.goto(`${network.url}/?token=${server.token}`);
  const tags = page.getByRole("group", { name: "Filter by tags" });
  await expect(tags.locator(".tag")).toHaveCount(12);
  await expect(tags.locator(".tag").first()).toHaveText("common");
  await tags.getByRole("button", { name: "All 21 tags" }).click();
  await expect(tags.locator(".tag")).toHaveCount(21);
  await tags.getByRole("button", { name: "rare 19" }).click();
  await expect(page.locator(".card-name")).toHaveText(["rare 19"]);
  await tags.getByRole("button", { name: "Fewer tags" }).click();
  await expect(tags.getByRole("button", { name: "rare 19" })).toHaveAttribute("aria-pressed", "true");
});

test("the page says when it sorts the newest files only", async ({ page, server, network }) => {
  for (let number = 0; number < 3; number++) await server.put(`note ${number}`, "n".repeat(number + 1));
  // Like a server with many files: one page of them, and a cursor.
  await page.route("**/v1/files?*", async (route) => {
    const url = new URL(route.request().url());
    if (url.searchParams.get("limit") === "1000") url.searchParams.set("limit", "2");
    await route.continue({ url: url.href });
  });
  await page.goto(`${network.url}/?token=${server.token}`);
  await page.getByLabel("Order").selectOption("By name");
  await expect(page.locator(".card-name")).toHaveText(["note 1", "note 2"]);
  await expect(page.getByText("Only the newest 2 files are sorted.")).toBeVisible();
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.locator(".card-name")).toHaveText(["note 0", "note 1", "note 2"]);
  await expect(page.getByText("In this order stand")).toBeHidden();
  await page.getByLabel("Order").selectOption("Largest first");
  await expect(page.locator(".card-name")).toHaveText(["note 2", "note 1", "note 0"]);
});

test("a tag that is chosen while a name is typed counts", async ({ page, server, network }) => {
  for (const name of ["a1", "a2", "b1"]) await server.put(name, name, "text/plain", [`${name[1]}`]);
  await page.goto(`${network.url}/?token=${server.token}`);
  await expect(page.locator(".card")).toHaveCount(3);
  const tag = page.getByRole("group", { name: "Filter by tags" }).getByRole("button", { name: "1" });
  // Both in one turn, faster than the delay of the search.
  const chosen = await tag.elementHandle();
  await page.getByLabel("Search by name").evaluate((field: HTMLInputElement, button) => {
    field.value = "a";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    (button as HTMLElement).click();
  }, chosen);
  await expect(page.locator(".card-name")).toHaveText(["a1"]);
  await expect(tag).toHaveAttribute("aria-pressed", "true");
  await page.getByLabel("Search by name").fill("A");
  await expect(page.getByText("capital and small letters")).toBeVisible();
});

test("a video plays, and seeking requests ranges", async ({ library, page, server }) => {
  await server.put("film.webm", await video(page, 60, 300_000), "video/webm");
  await page.reload();
  const ranges: string[] = [];
  page.on("request", (request) => {
    if (request.resourceType() === "media") ranges.push(request.headers()["range"] ?? "");
  });
  const dialog = await library.open("film.webm");
  const player = dialog.locator("video");
  await expect.poll(() => player.evaluate((element: HTMLVideoElement) => element.duration)).toBe(60);
  ranges.length = 0;
  await player.evaluate(async (element: HTMLVideoElement) => {
    const sought = new Promise((done) => element.addEventListener("seeked", done, { once: true }));
    element.currentTime = 50;
    await sought;
  });
  expect(await player.evaluate((element: HTMLVideoElement) => [element.currentTime, element.error])).toEqual([50, null]);
  const starts = ranges.map((range) => Number(/^bytes=(\d+)-/.exec(range)?.[1]));
  expect(starts.some((start) => start > 10_000_000)).toBe(true);
  await player.evaluate((element: HTMLVideoElement) => {
    element.muted = true;
    return element.play();
  });
  await expect.poll(() => player.evaluate((element: HTMLVideoElement) => element.currentTime)).toBeGreaterThan(50);
});

test("audio is played, an image is shown, anything else is offered as a download", async ({ library, page, server }) => {
  await server.put("song.wav", tone(3), "audio/wav");
  await server.put("dot.png", await picture(page), "image/png");
  await server.put("list.csv", "a,b\n1,2\n", "text/csv");
  await page.reload();
  await expect(library.card("dot.png").locator("img")).toHaveJSProperty("complete", true);
  const song = await library.open("song.wav");
  await expect.poll(() => song.locator("audio").evaluate((element: HTMLAudioElement) => element.duration)).toBe(3);
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog")).toHaveCount(0);
  const dot = await library.open("dot.png");
  await expect.poll(() => dot.locator("img").evaluate((element: HTMLImageElement) => element.naturalWidth)).toBe(64);
  await page.goBack();
  await expect(dot).toBeHidden();
  const list = await library.open("list.csv");
  await expect(list.getByText("There is no preview for this type")).toBeVisible();
  const download = page.waitForEvent("download");
  await list.getByRole("link", { name: "Download" }).click();
  expect((await download).suggestedFilename()).toBe("list.csv");
});

test("a file is renamed and tagged", async ({ library, page, server }) => {
  await server.put("old.txt", "hello", "text/plain", ["first"]);
  await page.reload();
  const dialog = await library.open("old.txt");
  await dialog.getByLabel("Name").fill("new.txt");
  await dialog.getByRole("button", { name: "Rename" }).click();
  const renamed = page.getByRole("dialog", { name: "new.txt" });
  await renamed.getByLabel("Tags", { exact: true }).fill("second");
  await page.keyboard.press("Enter");
  await expect(renamed.getByRole("list", { name: "Tags of this file" })).toHaveText("firstsecond");
  await renamed.getByRole("button", { name: "Remove the tag first" }).click();
  await expect(renamed.getByRole("list", { name: "Tags of this file" })).toHaveText("second");
  await renamed.getByLabel("Tags", { exact: true }).fill("..");
  await page.keyboard.press("Enter");
  await expect(renamed.getByRole("alert")).toContainText("tag");
  await expect(renamed.getByLabel("Tags", { exact: true })).toHaveValue("..");
  await page.keyboard.press("Escape");
  await expect(library.card("new.txt")).toBeFocused();
  await expect(page.getByRole("group", { name: "Filter by tags" })).toHaveText("second");
  const [file] = await server.files();
  expect([file?.name, file?.tags]).toEqual(["new.txt", ["second"]]);
});

test("a link works for anyone, for a limited time", async ({ library, page, context, server, request, network }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: network.url });
  await server.put("hello.txt", "hello", "text/plain");
  await page.reload();
  const dialog = await library.open("hello.txt");
  await dialog.getByLabel("How long the link works").selectOption("1 hour");
  await dialog.getByRole("button", { name: "Copy link" }).click();
  await expect(dialog.getByText(/Copied\. It works until/)).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toBe(await dialog.getByRole("textbox", { name: "The link" }).inputValue());
  expect(link.startsWith(`${network.url}/v1/g/lg_`)).toBe(true);
  expect(await (await request.get(link)).text()).toBe("hello");
  const { grants } = (await (await server.ask("/v1/grants")).json()) as { grants: { created_at: string; expires_at: string }[] };
  const [grant] = grants;
  expect(Date.parse(grant?.expires_at ?? "") - Date.parse(grant?.created_at ?? "")).toBe(3_600_000);
});

test("deleting asks first", async ({ library, page, server }) => {
  await server.put("one.txt", "1");
  await server.put("two.txt", "2");
  await page.reload();
  const dialog = await library.open("one.txt");
  await dialog.getByRole("button", { name: "Delete" }).click();
  const asking = page.getByRole("dialog", { name: "Delete this file?" });
  await expect(asking.getByRole("button", { name: "Keep it" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(asking).toBeHidden();
  expect(await server.files()).toHaveLength(2);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await asking.getByRole("button", { name: "Delete" }).click();
  await expect(page.locator(".card")).toHaveCount(1);
  await expect(dialog).toBeHidden();
  expect((await server.files()).map(({ name }) => name)).toEqual(["two.txt"]);
});

test("a file that someone else deleted is reported", async ({ library, page, server }) => {
  const { _id } = await server.put("gone.txt", "1");
  await page.reload();
  await expect(library.card("gone.txt")).toBeVisible();
  await server.ask(`/v1/files/${_id}`, { method: "DELETE" });
  await library.card("gone.txt").click();
  await expect(page.getByRole("alert").getByText("no longer on the server")).toBeVisible();
});

test("uploads of other devices show their progress, and can be aborted", async ({ library, page, server }) => {
  const begun = await server.ask("/v1/uploads", {
    method: "POST",
    body: JSON.stringify({ name: "from-a-phone.mp4", size: 12 * 2 ** 20, fingerprint: "phone" }),
  });
  const { _id, chunk_size } = (await begun.json()) as { _id: string; chunk_size: number };
  await page.reload();
  const row = page.locator(".unfinished > li");
  await expect(row).toContainText("from-a-phone.mp4");
  await expect(row.getByRole("progressbar")).toHaveJSProperty("value", 0);
  await expect(page.locator(".usage")).toContainText("12.6 MB reserved");
  for (let at = 0; at < 4 * 2 ** 20; at += chunk_size) {
    await server.ask(`/v1/uploads/${_id}/chunks/${at}`, { method: "PUT", body: new Uint8Array(chunk_size) });
  }
  await expect(row).toContainText("33 %");
  await row.getByRole("button", { name: "Abort the upload of from-a-phone.mp4" }).click();
  await page.getByRole("dialog", { name: "Abort this upload?" }).getByRole("button", { name: "Abort" }).click();
  await expect(row).toBeHidden();
  expect(await server.uploads()).toEqual([]);
  await expect(page.getByRole("heading", { name: "Library" })).toBeFocused();
  await expect(page.locator(".usage")).not.toContainText("reserved");
});

test("a file that another device finished appears by itself", async ({ library, page, server }) => {
  const body = JSON.stringify({ name: "from-a-phone.jpg", size: 3 });
  const { _id } = (await (await server.ask("/v1/uploads", { method: "POST", body })).json()) as { _id: string };
  await page.reload();
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeVisible();
  await server.ask(`/v1/uploads/${_id}/chunks/0`, { method: "PUT", body: "abc" });
  await server.ask(`/v1/uploads/${_id}/finish`, { method: "POST" });
  await expect(library.card("from-a-phone.jpg")).toBeVisible();
});

/** A WAV file with this duration. */
function tone(seconds: number): Uint8Array<ArrayBuffer> {
  const rate = 8000;
  const data = new DataView(new ArrayBuffer(44 + rate * seconds));
  const write = (at: number, text: string) => [...text].forEach((letter, i) => data.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  data.setUint32(4, 36 + rate * seconds, true);
  write(8, "WAVEfmt ");
  data.setUint32(16, 16, true);
  data.setUint16(20, 1, true);
  data.setUint16(22, 1, true);
  data.setUint32(24, rate, true);
  data.setUint32(28, rate, true);
  data.setUint16(32, 1, true);
  data.setUint16(34, 8, true);
  write(36, "data");
  data.setUint32(40, rate * seconds, true);
  for (let i = 0; i < rate * seconds; i++) data.setUint8(44 + i, 128 + 60 * Math.sin(i / 4));
  return new Uint8Array(data.buffer);
}

/** An image of 64 by 64 pixels. */
async function picture(page: import("@playwright/test").Page): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext("2d");
    if (context) {
      context.fillStyle = "teal";
      context.fillRect(8, 8, 48, 48);
    }
    return Array.from(new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer()));
  });
  return new Uint8Array(bytes);
}
