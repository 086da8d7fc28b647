/** The library: search, view, change, share, delete; and uploads of other days and devices. */

import { expect, test } from "./world.js";
import { video } from "./samples.js";

test("files are found by words anywhere in the name, by tags and by type, in every order", async ({ page, server, network }) => {
  for (let number = 0; number < 26; number++) {
    await server.put(`note ${String(number).padStart(2, "0")}.txt`, "n".repeat(number + 1), "text/plain", number % 2 ? ["odd"] : ["even"]);
  }
  await server.put("song.wav", tone(1), "audio/wav", ["odd", "loud"]);
  await page.goto(`${network.url}/?token=${server.token}`);
  const names = page.locator(".card-name");
  const told = page.locator(".library-head").getByRole("status");
  await expect(names.first()).toHaveText("song.wav");
  await expect(told).toHaveText("27 files");
  // Only what is in view exists.
  expect(await names.count()).toBeLessThan(27);
  for (const [order, first] of [["By name", "note 00.txt"], ["Largest first", "song.wav"], ["Smallest first", "note 00.txt"],
    ["By name, Z to A", "song.wav"], ["Oldest first", "note 00.txt"]] as const) {
    await page.getByLabel("Order").selectOption(order);
    await expect(names.first()).toHaveText(first);
  }
  await page.keyboard.press("Tab");
  await page.locator(".card-open").first().focus();
  await page.keyboard.press("/");
  await expect(page.getByLabel("Search by name")).toBeFocused();
  await page.keyboard.type("TXT 1");
  await expect(told).toHaveText("12 files");
  const tags = page.getByRole("group", { name: "Filter by tags" });
  await tags.getByRole("button", { name: "odd" }).click();
  await expect(told).toHaveText("7 files");
  await page.getByLabel("Order").selectOption("By name");
  await expect(names.first()).toHaveText("note 01.txt");
  await page.getByLabel("Search by name").fill("");
  await expect(told).toHaveText("14 files");
  await page.getByLabel("Type").selectOption("Audio");
  await expect(told).toHaveText("1 file");
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
  await expect(page.locator(".card-name")).toHaveText(["a1"]);
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

test("audio is played, an image and a text are shown, anything else is offered as a download", async ({ library, page, server }) => {
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
  await expect.poll(() => dot.locator("img:not(.placeholder)").evaluate((element: HTMLImageElement) => element.naturalWidth)).toBe(64);
  await page.goBack();
  await expect(dot).toBeHidden();
  const list = await library.open("list.csv");
  await expect(list.getByLabel("The text of list.csv")).toHaveText("a,b\n1,2\n");
  // The arrow keys lead through the files in the order of the list.
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("dialog", { name: "dot.png" })).toBeVisible();
  await page.keyboard.press("ArrowLeft");
  await expect(list).toBeVisible();
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

test("a link works for anyone, for a limited time, with a password, until it is revoked", async ({ library, page, context, server, request, network }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: network.url });
  await server.put("hello.png", await picture(page), "image/png");
  await page.reload();
  const dialog = await library.open("hello.png");
  await dialog.getByRole("button", { name: "Share" }).click();
  const sharing = page.getByRole("dialog", { name: "Share hello.png" });
  await sharing.getByLabel("How long the link works").selectOption("1 hour");
  await sharing.getByRole("button", { name: "Make a link" }).click();
  await expect(sharing.getByText(/Copied\. It works until/)).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toBe(await sharing.getByRole("textbox", { name: "The link" }).inputValue());
  expect(link.startsWith(`${network.url}/s/lg_`)).toBe(true);
  expect((await request.get(`${link}/download`)).headers()["content-type"]).toBe("image/png");
  const [file] = await server.files();
  await sharing.getByText("Show it on another page").click();
  await expect(sharing.getByLabel("HTML for another page")).toHaveValue(`<img src="${link}/files/${file?._id}" alt="">`);
  const grants = async () => ((await (await server.ask("/v1/grants")).json()) as { grants: { created_at: string; expires_at: string; uses: number | null }[] }).grants;
  const [grant] = await grants();
  expect(Date.parse(grant?.expires_at ?? "") - Date.parse(grant?.created_at ?? "")).toBe(3_600_000);
  // The same link, with a password and for two people.
  await sharing.getByRole("button", { name: "Change" }).click();
  const change = sharing.locator(".link-change");
  await change.getByLabel("How many people may download").fill("2");
  await change.getByLabel("Password").fill("sesame");
  await change.getByRole("button", { name: "Save" }).click();
  await expect(sharing.getByText(/with a password · \d of 2 downloads/)).toBeVisible();
  expect((await request.get(`${link}/download`)).status()).toBe(401);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog")).toHaveCount(0);
  await page.getByRole("link", { name: "Links" }).click();
  const links = page.getByRole("list", { name: "Links" });
  await expect(links).toContainText("hello.png");
  await links.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog", { name: "Revoke this link?" }).getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByText("No links yet.")).toBeVisible();
  expect(await grants()).toEqual([]);
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

test("what was deleted is in the trash, from which it comes back", async ({ library, page, server }) => {
  for (const name of ["one.txt", "two.txt", "three.txt"]) await server.put(name, name);
  await page.reload();
  const names = async () => (await server.files()).map(({ name }) => name).sort();
  const remove = async (...wanted: string[]) => {
    for (const name of wanted) await page.getByLabel(`Select ${name}`).check({ force: true });
    await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("dialog")).toHaveCount(0);
  };
  const notice = page.getByRole("group", { name: "Just done" });
  await remove("one.txt", "two.txt");
  await expect(notice).toContainText("2 files moved to the trash.");
  expect(await names()).toEqual(["three.txt"]);
  await notice.getByRole("button", { name: "Undo" }).click();
  await expect(library.card("one.txt")).toBeVisible();
  expect(await names()).toEqual(["one.txt", "three.txt", "two.txt"]);
  await remove("three.txt");
  await expect(notice).toContainText("three.txt moved to the trash.");
  await page.keyboard.press("Control+z");
  await expect(library.card("three.txt")).toBeVisible();
  await remove("one.txt", "two.txt", "three.txt");
  await page.getByRole("link", { name: "Trash" }).click();
  const trash = page.getByRole("list", { name: "Trash" });
  await expect(trash.getByRole("listitem")).toHaveCount(3);
  await expect(trash).toContainText(/deleted just now · kept until/);
  await trash.getByRole("button", { name: "Restore two.txt" }).click();
  await expect(trash.getByRole("listitem")).toHaveCount(2);
  await trash.getByRole("button", { name: "Delete one.txt for good" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await expect(trash.getByRole("listitem")).toHaveCount(1);
  await page.getByRole("button", { name: "Empty the trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await expect(page.getByText("The trash is empty.")).toBeVisible();
  expect(await names()).toEqual(["two.txt"]);
  await page.getByRole("link", { name: "Files", exact: true }).click();
  await expect(library.card("two.txt")).toBeVisible();
});

test("somebody is asked for files, which arrive in a folder", async ({ library, page, server, request }) => {
  await server.ask("/v1/files?name=plan.txt&directory=wedding", { method: "POST", body: "plan" });
  await page.reload();
  await library.card("wedding").click();
  await page.getByRole("button", { name: "Ask for files" }).click();
  const asking = page.getByRole("dialog", { name: "Ask for files" });
  await asking.getByLabel("The most of all files together, in GB").fill("0.5");
  await asking.getByRole("button", { name: "Make a link" }).click();
  const link = await asking.getByRole("textbox", { name: "The link" }).inputValue();
  expect(link).toMatch(/\/r\/lg_/);
  const grant = link.replace("/r/", "/v1/g/");
  const { token } = (await (await request.post(`${grant}/senders`, { data: { name: "Aunt Mia" } })).json()) as { token: string };
  const sent = await request.put(`${grant.replace(/lg_.*/, token)}?name=dance.txt`, { data: "dance", headers: { "Content-Type": "text/plain" } });
  expect(sent.status()).toBe(201);
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Links" }).click();
  const links = page.getByRole("list", { name: "Links" });
  await expect(links).toContainText("Asks for files into wedding");
  await expect(links).toContainText("1 file · 5 bytes of 500.0 MB · from 1 person");
  await links.getByRole("link", { name: "wedding" }).click();
  const dialog = await library.open("dance.txt");
  await expect(dialog.locator(".facts")).toContainText("Sent byAunt Mia");
});

test("a file that someone else deleted is reported", async ({ library, page, server }) => {
  const { _id } = await server.put("gone.txt", "1");
  await page.reload();
  await expect(library.card("gone.txt")).toBeVisible();
  await server.ask(`/v1/files/${_id}`, { method: "DELETE" });
  await library.card("gone.txt").click();
  await expect(page.getByRole("alert").getByText("no longer on the server")).toBeVisible();
});

test("uploads of other devices show their progress, and can be cancelled", async ({ library, page, server }) => {
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
  await row.getByRole("button", { name: "Cancel the upload of from-a-phone.mp4" }).click();
  await page.getByRole("dialog", { name: "Cancel this upload?" }).getByRole("button", { name: "Cancel the upload" }).click();
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
