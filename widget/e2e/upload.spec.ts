/** Uploads from the page: large, paused, cancelled, dropped, odd, refused. */

import { appendFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MB, sample } from "./samples.js";
import { expect, test } from "./world.js";

/** As many pieces as a page has in flight many times over; docs/CONTRIBUTING.md says when it is more. */
const LARGE = Number(process.env["UPLOAD_BYTES"] ?? 150 * MB);

test("a large file arrives unchanged", async ({ library, server, folder }) => {
  test.slow();
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, LARGE);
  await library.choose(path);
  await expect(library.complete).toBeVisible({ timeout: 120_000 });
  await expect(library.card("film.mp4")).toBeVisible();
  const [file] = await server.files();
  expect(file?.size).toBe(LARGE);
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  // By this the command line knows the same file.
  expect(file?.sha256).toBe(sha256);
});

test("several files at once, each announced when it is uploaded", async ({ library, page, server, folder }) => {
  const paths = ["a.bin", "b.bin", "c.bin", "d.bin"].map((name) => join(folder, name));
  for (const path of paths) await sample(path, 3 * MB);
  await library.choose(...paths);
  await expect(library.complete).toBeVisible();
  await expect(page.locator(".card")).toHaveCount(4);
  expect((await server.files()).map(({ name }) => name).sort()).toEqual(["a.bin", "b.bin", "c.bin", "d.bin"]);
});

test("a running upload cannot be added twice, a finished one can", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 20 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(0);
  await library.choose(path);
  await expect(page.getByRole("list", { name: "Failed uploads" })).toContainText("This file is already being uploaded");
  // More files hide nothing of what runs.
  const more = join(folder, "more.mp4");
  await sample(more, 20 * MB);
  await library.choose(more);
  await expect(library.status.getByRole("heading", { name: "Uploading 2 files" })).toBeVisible();
  for (const name of ["film.mp4", "more.mp4"]) {
    await expect(library.status.getByRole("progressbar", { name: `Upload progress of ${name}` })).toBeVisible();
    await expect(library.status.getByRole("listitem").filter({ hasText: name })).toContainText(/\d % of 20\.0 MB · [\d.]+ MB\/s/);
  }
  // One of them is paused, and taken out.
  await library.status.getByRole("button", { name: "Pause more.mp4" }).click();
  await expect(library.status.getByRole("listitem").filter({ hasText: "more.mp4" })).toContainText("Paused");
  await library.status.getByRole("button", { name: "Cancel the upload of more.mp4" }).click();
  const asking = page.getByRole("dialog", { name: "Cancel this upload?" });
  await asking.or(library.status.getByRole("heading", { name: "Uploading 1 file" })).first().waitFor();
  if (await asking.isVisible()) await asking.getByRole("button", { name: "Cancel the upload" }).click();
  await expect(library.status.getByRole("heading", { name: "Uploading 1 file" })).toBeVisible();
  network.rate = Infinity;
  await expect(page.locator(".card")).toHaveCount(1);
  await expect(library.complete).toBeVisible();
  await library.choose(path);
  // The same bytes are not sent again, unless that is wanted.
  const again = library.status.getByRole("button", { name: "Keep both: film.mp4" });
  await expect(library.status.getByText("Already there, with the same content")).toBeVisible();
  expect(await server.files()).toHaveLength(1);
  await again.click();
  await expect(page.locator(".card")).toHaveCount(2);
  expect(await server.files()).toHaveLength(2);
});

test("an upload is paused and resumed", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(4 * MB);
  await library.status.getByRole("button", { name: "Pause", exact: true }).click();
  await expect(library.status.getByText("Paused")).toBeVisible();
  // Pieces in flight are still stored, then no more.
  let before = -1;
  await expect.poll(async () => {
    const [now, then] = [await server.stored(), before];
    before = now;
    return now === then;
  }, { intervals: [700] }).toBe(true);
  expect(before).toBeLessThan(30 * MB);
  network.rate = Infinity;
  await library.status.getByRole("button", { name: "Resume", exact: true }).click();
  await expect(library.complete).toBeVisible();
  const [file] = await server.files();
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeHidden();
});

test("a cancelled upload asks first, and leaves nothing on the server", async ({ library, page, server, network, folder }) => {
  network.rate = 3 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(4 * MB);
  const asking = page.getByRole("dialog", { name: "Cancel this upload?" });
  for (const button of [
    library.status.getByRole("button", { name: "Cancel", exact: true }),
    page.getByRole("button", { name: "Cancel the upload of film.mp4" }),
  ]) {
    await button.click();
    await expect(asking).toContainText("The stored part of film.mp4");
    await asking.getByRole("button", { name: "Continue" }).click();
    await expect(asking).toBeHidden();
  }
  expect(await server.stored()).toBeGreaterThan(4 * MB);
  const { width, height } = (await page.getByRole("button", { name: "Cancel the upload of film.mp4" }).boundingBox()) ?? {};
  expect([width, height]).toEqual([36, 36]);
  // An upload that is being deleted never appears as unfinished.
  const shown = await page.evaluateHandle(() => {
    const seen: string[] = [];
    new MutationObserver(() => seen.push(...[...document.querySelectorAll(".unfinished")].map((each) => String(each.textContent))))
      .observe(document.body, { childList: true, subtree: true });
    return seen;
  });
  await library.status.getByRole("button", { name: "Cancel", exact: true }).click();
  await asking.getByRole("button", { name: "Cancel the upload" }).click();
  await expect.poll(() => server.uploads()).toEqual([]);
  await expect(page.locator(".usage")).not.toContainText("reserved");
  expect(await shown.jsonValue()).toEqual([]);
  expect(await server.files()).toEqual([]);
  const usage = (await (await server.ask("/v1/usage")).json()) as { used: number; reserved: number };
  expect([usage.used, usage.reserved]).toEqual([0, 0]);
});

test("files are dropped on the page", async ({ library, page, server }) => {
  const transfer = await page.evaluateHandle(() => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([new Uint8Array(100_000)], "dropped.bin"));
    dropped.items.add(new File(["hello"], "note.txt", { type: "text/plain" }));
    return dropped;
  });
  const place = page.locator(".chooser");
  await place.dispatchEvent("dragover", { dataTransfer: transfer });
  await place.dispatchEvent("drop", { dataTransfer: transfer });
  await expect(library.complete).toBeVisible();
  expect((await server.files()).map(({ name, size }) => [name, size]).sort()).toEqual([
    ["dropped.bin", 100_000],
    ["note.txt", 5],
  ]);
});

test("files that are dropped beside the drop area are accepted", async ({ library, page, server }) => {
  const transfer = await page.evaluateHandle(() => {
    const dropped = new DataTransfer();
    dropped.items.add(new File(["hello"], "beside.txt", { type: "text/plain" }));
    return dropped;
  });
  const taken = (type: string) =>
    page.getByRole("heading", { name: "Library" }).evaluate(
      (element, [name, dataTransfer]) => !element.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true })),
      [type, transfer] as const,
    );
  // From now on the page listens.
  await expect(page.locator(".chooser")).toBeVisible();
  expect([await taken("dragover"), await taken("drop")]).toEqual([true, true]);
  await expect(library.card("beside.txt")).toBeVisible();
  expect(await server.files()).toHaveLength(1);
});

test("an empty file is uploaded", async ({ library, server, folder }) => {
  const path = join(folder, "empty.txt");
  await writeFile(path, "");
  await library.choose(path);
  await expect(library.card("empty.txt")).toBeVisible();
  expect((await server.files()).map(({ size }) => size)).toEqual([0]);
});

for (const name of ["ünïcödé 文件 🎬.bin", "a&b <i>c \"d\" 'e' #?%2F.bin", "\u202egpj.exe", "x".repeat(200) + ".bin"]) {
  test(`a name is only a name: ${name.slice(0, 30)}`, async ({ library, page, server, folder }) => {
    const path = join(folder, name);
    await writeFile(path, "hello");
    await library.choose(path);
    await expect(page.locator(".card-name")).toHaveText(name);
    const [file] = await server.files();
    expect(file?.name).toBe(name);
    const dialog = await library.open(name);
    const download = page.waitForEvent("download");
    await dialog.getByRole("link", { name: "Download" }).click();
    expect(await (await download).failure()).toBeNull();
  });
}

test.describe("with a quota", () => {
  test.use({ settings: { LADING_DEFAULT_QUOTA: "2MB" } });

  test("a file over the quota is refused with one sentence", async ({ library, page, server, folder }) => {
    const [large, small] = [join(folder, "large.bin"), join(folder, "small.bin")];
    await sample(large, 3 * MB);
    await sample(small, MB);
    await library.choose(large);
    const told = page.getByRole("list", { name: "Failed uploads" }).getByText("large.bin");
    await expect(told).toBeVisible();
    await expect(page.getByText(/does not fit into your quota: .* of .* are free\. Ask for a larger quota/)).toHaveCount(2);
    await library.choose(small);
    await expect(library.card("small.bin")).toBeVisible();
    await expect(page.locator(".usage")).toContainText("of 2.0 MB");
    await expect(page.getByRole("heading", { name: "1 file failed" })).toBeVisible();
    expect((await server.files()).map(({ name }) => name)).toEqual(["small.bin"]);
    // With enough quota, a retry uploads the same file.
    await server.ask("/v1/users/admin/quota", { method: "PUT", body: '{"quota": 9000000}' });
    await page.getByRole("button", { name: "Try again: large.bin" }).click();
    await expect(library.card("large.bin")).toBeVisible();
    await expect(library.complete).toBeVisible();
    await expect(told).toBeHidden();
  });

  test("the unfinished upload that holds the room is named, and a button frees it", async ({ library, page, server, folder }) => {
    const body = JSON.stringify({ name: "forgotten.mp4", size: 1.8 * MB, mime_type: "video/mp4" });
    await server.ask("/v1/uploads", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const path = join(folder, "photo.bin");
    await sample(path, 1.5 * MB);
    await library.choose(path);
    const held = page.getByRole("list", { name: "Unfinished uploads that hold room" });
    await expect(held).toContainText("forgotten.mp4 · holds 1.8 MB · last active just now");
    await expect(page.getByRole("list", { name: "Failed uploads" })).not.toContainText("Delete files");
    await held.getByRole("button", { name: "Cancel the upload of forgotten.mp4" }).click();
    await page.getByRole("dialog", { name: "Cancel this upload?" }).getByRole("button", { name: "Cancel the upload" }).click();
    await expect(held).toBeHidden();
    expect(await server.uploads()).toEqual([]);
    await page.getByRole("button", { name: "Try again: photo.bin" }).click();
    await expect(library.card("photo.bin")).toBeVisible();
  });

  test("a failed file does not hide that another is being uploaded", async ({ library, page, server, network, folder }) => {
    network.rate = 0.04 * MB;
    const [large, small] = [join(folder, "large.bin"), join(folder, "small.bin")];
    await sample(large, 3 * MB);
    await sample(small, 1.5 * MB);
    await library.choose(small);
    await expect.poll(() => server.uploads()).toHaveLength(1);
    await library.choose(large);
    await expect(page.getByRole("list", { name: "Failed uploads" })).toContainText("large.bin");
    await expect(library.status.getByRole("heading")).toHaveText("Uploading 1 file");
    await expect(library.status.getByRole("button", { name: "Pause", exact: true })).toBeVisible();
    network.rate = Infinity;
    await expect(library.complete).toBeVisible();
    await expect(page.getByRole("heading", { name: "1 file failed" })).toBeVisible();
  });
});

test("the row of an unfinished upload opens it, and shows the file when it is whole", async ({ library, page, server }) => {
  const create = JSON.stringify({ name: "notes.txt", size: 2_000, mime_type: "text/plain" });
  const json = { "Content-Type": "application/json" };
  const { _id } = (await (await server.ask("/v1/uploads", { method: "POST", body: create, headers: json })).json()) as { _id: string };
  await page.reload();
  await page.locator(".unfinished").getByRole("button", { name: "notes.txt", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "notes.txt" });
  await expect(dialog).toContainText("0 bytes of 2.0 kB · 0 % · last active just now");
  await expect(dialog.getByRole("link", { name: "Download" })).toBeHidden();
  await server.ask(`/v1/uploads/${_id}/chunks/0`, { method: "PUT", body: "x".repeat(2000) });
  await expect(dialog).toContainText("2.0 kB of 2.0 kB · 100 %");
  await server.ask(`/v1/uploads/${_id}/finish`, { method: "POST", body: "{}", headers: json });
  await expect(dialog.getByRole("link", { name: "Download" })).toBeVisible();
  await expect(library.page).toHaveURL(new RegExp(`#${_id}$`));
});

test("a file that changes or disappears during its upload is reported", async ({ library, page, server, network, folder }) => {
  const told = page.getByRole("list", { name: "Failed uploads" });
  for (const [name, change] of [
    ["grown.bin", (path: string) => appendFile(path, "more")],
    ["cut.bin", (path: string) => truncate(path, MB)],
    ["gone.bin", (path: string) => rm(path)],
  ] as const) {
    network.rate = 6 * MB;
    const path = join(folder, name);
    await sample(path, 30 * MB);
    await library.choose(path);
    await expect.poll(async () => (await server.uploads()).find((each) => each.name === name)?.upload_size ?? 0).toBeGreaterThan(0);
    await change(path);
    network.rate = Infinity;
    await expect(told.getByText(name)).toBeVisible();
    await expect(told).toContainText("The file was changed, moved or deleted during the upload. Choose it again.");
    if (name === "gone.bin") continue;
    await library.choose(path);
    await expect(library.card(name)).toBeVisible();
    await expect(library.complete).toBeVisible();
    await expect(told).toBeHidden();
  }
  expect((await server.files()).map(({ name }) => name)).toEqual(["cut.bin", "grown.bin"]);
});

test("two tabs with the same file share one upload", async ({ library, page, context, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(0);
  const other = library.in(await context.newPage());
  await other.enter();
  await other.choose(path);
  await expect(library.complete).toBeVisible();
  await expect(other.complete).toBeVisible();
  const files = await server.files();
  expect(files).toHaveLength(1);
  expect(await server.sha256(files[0]?._id ?? "")).toBe(sha256);
  expect(await server.uploads()).toEqual([]);
  await expect(page.locator(".card")).toHaveCount(1);
});

test("leaving asks during an upload, and not after it", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 20 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(0);
  const asked = page.waitForEvent("dialog");
  const leaving = page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  await leaving;
  network.rate = Infinity;
  await expect(library.complete).toBeVisible();
  await page.goto("about:blank");
});

test("signing out during an upload asks, stops it, and reports a failure", async ({ library, page, context, server, network, folder }) => {
  network.rate = 4 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 40 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(0);
  const asking = page.getByRole("dialog", { name: "Sign out during an upload?" });
  await page.getByRole("button", { name: "Sign out" }).click();
  await asking.getByRole("button", { name: "Stay" }).click();
  await expect(library.status).toContainText("Uploading");

  await page.route("**/v1/session", (route) => route.abort());
  await page.getByRole("button", { name: "Sign out" }).click();
  await asking.getByRole("button", { name: "Sign out" }).click();
  await expect(asking.getByRole("alert")).toContainText("cannot be reached");
  await expect(library.status).toContainText("Uploading");
  await page.unroute("**/v1/session");

  await asking.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("Token")).toBeVisible();
  expect(await context.cookies()).toEqual([]);
  const stored = await server.stored();
  expect(stored).toBeGreaterThan(0);
  expect(stored).toBeLessThan(40 * MB);
});
