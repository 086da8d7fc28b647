/** Folders: uploaded, seen, moved by hand and by keyboard, several things at once; and names that are taken. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { StoredFile } from "./server.js";
import { expect, type LadingPage, test } from "./world.js";

interface Placed extends StoredFile {
  directory: string;
}

const told = (page: Page) => page.locator(".library-head").getByRole("status");
const crumbs = (page: Page) => page.getByRole("navigation", { name: "Path" });
const tree = (page: Page) => page.getByRole("navigation", { name: "Folders" });
const toolbar = (page: Page) => page.getByRole("toolbar", { name: "Selected" });

/** Where each file is. */
async function places(server: { files: () => Promise<StoredFile[]> }): Promise<Record<string, string>> {
  const files = (await server.files()) as Placed[];
  return Object.fromEntries(files.map(({ name, directory }) => [name, directory]));
}

/** Files for the clipboard or a drag. */
const transfer = (page: Page, name: string, text: string) =>
  page.evaluateHandle(
    ([name, text]) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name, { type: "text/plain", lastModified: 1 }));
      return data;
    },
    [name, text] as const,
  );

async function shown(library: LadingPage, folder: string): Promise<void> {
  await library.card(folder).click();
  await expect(crumbs(library.page).getByText(folder, { exact: true })).toBeVisible();
}

test("a folder is uploaded with its folders, moved, searched, downloaded and deleted", async ({ library, page, server, folder }) => {
  for (const path of ["trip", "trip/june", "trip/june/raw"]) await mkdir(join(folder, path));
  for (const [path, text] of [["trip/plan.txt", "plan"], ["trip/june/sea.txt", "sea"], ["trip/june/raw/sea 2.txt", "sea 2"], ["trip/june/hill.txt", "hill"]]) {
    await writeFile(join(folder, path ?? ""), text ?? "");
  }
  await page.getByLabel("Folder to upload").setInputFiles(join(folder, "trip"));
  await expect(library.status.getByRole("heading", { name: "4 files uploaded" })).toBeVisible();
  expect(await places(server)).toEqual({ "plan.txt": "trip", "sea.txt": "trip/june", "sea 2.txt": "trip/june/raw", "hill.txt": "trip/june" });

  await page.getByLabel("Order").selectOption("By name");

  // Down by cards, up by the path, anywhere by the tree; each place has an address.
  await expect(library.card("trip")).toBeVisible();
  await expect(told(page)).toHaveText("1 folder");
  await shown(library, "trip");
  await expect(told(page)).toHaveText("1 folder, 1 file");
  await shown(library, "june");
  await expect(page).toHaveURL(/#\/trip\/june\/$/);
  await crumbs(page).getByRole("link", { name: "trip" }).click();
  await expect(told(page)).toHaveText("1 folder, 1 file");
  await tree(page).getByRole("button", { name: "Folders in june" }).click();
  await tree(page).getByRole("link", { name: "raw" }).click();
  await expect(page.locator(".card-name")).toHaveText(["sea 2.txt"]);
  await page.goBack();
  await page.goBack();
  await expect(told(page)).toHaveText("1 folder, 2 files");

  // A search looks into the folders below, and the viewer leads to the folder.
  await page.getByLabel("Search by name").fill("SEA");
  await expect(page.locator(".card-name")).toHaveText(["sea 2.txt", "sea.txt"]);
  const dialog = await library.open("sea 2.txt");
  await dialog.getByRole("link", { name: "trip/june/raw" }).click();
  await expect(page.locator("dialog")).toHaveCount(0);
  await page.getByLabel("Search by name").fill("");
  await crumbs(page).getByRole("link", { name: "june" }).click();
  await expect(told(page)).toHaveText("1 folder, 2 files");

  // What is chosen, dropped and pasted goes into the folder that is shown.
  await page.locator(".library").dispatchEvent("dragover", { dataTransfer: await transfer(page, "x", "x") });
  await expect(page.getByText("Drop to upload into trip/june")).toBeVisible();
  await page.locator(".library").dispatchEvent("drop", { dataTransfer: await transfer(page, "dropped.txt", "dropped") });
  await expect(library.card("dropped.txt")).toBeVisible();
  await expect(page.getByText("Drop to upload into trip/june")).toBeHidden();
  await page.evaluate((data) => document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data })), await transfer(page, "pasted.txt", "pasted"));
  await expect(library.card("pasted.txt")).toBeVisible();
  expect(await places(server)).toMatchObject({ "dropped.txt": "trip/june", "pasted.txt": "trip/june" });

  // By hand: onto a folder, and onto the path.
  await page.locator(".card").filter({ hasText: "dropped.txt" }).dragTo(page.locator(".card.folder").filter({ hasText: "raw" }));
  await expect(library.card("dropped.txt")).toBeHidden();
  await page.locator(".card").filter({ hasText: "pasted.txt" }).dragTo(crumbs(page).getByRole("link", { name: "trip" }));
  await expect(library.card("pasted.txt")).toBeHidden();
  expect(await places(server)).toMatchObject({ "dropped.txt": "trip/june/raw", "pasted.txt": "trip" });

  // By keyboard: arrows, space, and the dialog.
  await expect(page.locator(".card-name")).toHaveText(["raw", "hill.txt", "sea.txt"]);
  await library.card("raw").focus();
  await page.keyboard.press("End");
  await expect(library.card("sea.txt")).toBeFocused();
  await page.keyboard.press("Shift+ArrowLeft");
  await expect(toolbar(page)).toContainText("2 files");
  await page.keyboard.press("Escape");
  await expect(toolbar(page)).toBeHidden();
  await page.keyboard.press("Control+a");
  await expect(toolbar(page)).toContainText("1 folder and 2 files");
  await page.keyboard.press("Escape");
  await page.getByLabel("Select hill.txt").focus();
  await page.keyboard.press("Space");
  await toolbar(page).getByRole("button", { name: "Move" }).focus();
  await page.keyboard.press("Enter");
  const moving = page.getByRole("dialog", { name: "Move 1 file" });
  await moving.getByRole("button", { name: "trip" }).press("Enter");
  await moving.getByLabel("New folder in it").fill("july");
  await page.keyboard.press("Enter");
  await expect(library.card("hill.txt")).toBeHidden();
  expect(await places(server)).toMatchObject({ "hill.txt": "trip/july" });

  // Tags for several, a ZIP of a folder, another name for it, and its end.
  await crumbs(page).getByRole("link", { name: "trip" }).click();
  await expect(told(page)).toHaveText("2 folders, 2 files");
  await page.getByLabel("Select plan.txt").check({ force: true });
  await page.getByLabel("Select pasted.txt").check({ force: true });
  await toolbar(page).getByRole("button", { name: "Tag" }).click();
  await page.getByLabel("Add a tag").fill("paper");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("list", { name: "Tags of pasted.txt" })).toHaveText("paper");
  await expect(page.getByRole("list", { name: "Tags of plan.txt" })).toHaveText("paper");
  await page.getByRole("button", { name: "Select nothing" }).click();
  await page.getByLabel("Select june").check({ force: true });
  const download = page.waitForEvent("download");
  await toolbar(page).getByRole("button", { name: "Download" }).click();
  const archive = await download;
  expect(archive.suggestedFilename()).toBe("june.zip");
  const bytes = await readFile(await archive.path());
  expect(["sea.txt", "raw/sea 2.txt", "raw/dropped.txt"].filter((name) => !bytes.includes(name))).toEqual([]);
  await toolbar(page).getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog", { name: "Rename the folder" }).getByLabel("Name").fill("early june");
  await page.keyboard.press("Enter");
  await expect(library.card("early june")).toBeVisible();
  expect(await places(server)).toMatchObject({ "sea.txt": "trip/early june", "sea 2.txt": "trip/early june/raw" });
  await library.card("early june").focus();
  await page.keyboard.press("Delete");
  await page.getByRole("dialog", { name: "Delete 1 folder?" }).getByRole("button", { name: "Delete" }).click();
  await expect(library.card("early june")).toBeHidden();
  expect(Object.keys(await places(server)).sort()).toEqual(["hill.txt", "pasted.txt", "plan.txt"]);

  // A new folder is there with its first file.
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByLabel("Name of the new folder").fill("100% new");
  await page.keyboard.press("Enter");
  await expect(page.getByText("This folder is empty.")).toBeVisible();
  await library.choose(join(folder, "trip/plan.txt"));
  await expect(library.card("plan.txt")).toBeVisible();
  expect(((await server.files()) as Placed[])[0]).toMatchObject({ name: "plan.txt", directory: "trip/100% new" });
  await page.reload();
  await expect(library.card("plan.txt")).toBeVisible();

  // It can be installed as an app.
  const app = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel="manifest"]');
    const answer = await fetch(link?.href ?? "");
    const { start_url, icons } = (await answer.json()) as { start_url: string; icons: { src: string }[] };
    const icon = await fetch(new URL(icons[0]?.src ?? "", answer.url));
    return [answer.headers.get("content-type"), new URL(start_url, answer.url).href === new URL(".", location.href).href, icon.headers.get("content-type")];
  });
  expect(app).toEqual(["application/manifest+json", true, "image/svg+xml; charset=utf-8"]);
});

test("a name that is taken: both, skipped, replaced, and the same bytes are not sent again", async ({ library, page, server, folder }) => {
  const path = (name: string) => join(folder, name);
  for (const name of ["a.txt", "b.txt", "c.txt"]) await server.put(name, `old ${name}`, "text/plain");
  for (const name of ["a.txt", "b.txt"]) await writeFile(path(name), `new ${name}`);
  await writeFile(path("c.txt"), "old c.txt");
  const asking = page.getByRole("dialog", { name: "A file of this name is there" });
  // The screen stays on as long as something is uploaded.
  const locks = await page.evaluateHandle(() => {
    const held = new Set<object>();
    const request = () => {
      const lock = { release: () => void held.delete(lock), addEventListener: () => undefined };
      held.add(lock);
      return Promise.resolve(lock);
    };
    Object.defineProperty(navigator, "wakeLock", { value: { request } });
    return held;
  });
  await library.choose(path("a.txt"));
  await expect(asking).toContainText("a.txt is there already, with other content (9 bytes). Yours has 9 bytes.");
  await expect(page).toHaveTitle(/ % · Lading$/);
  expect(await locks.evaluate((held) => held.size)).toBe(1);
  await asking.getByRole("button", { name: "Skip" }).click();
  await expect(library.status).toContainText("Skipped: a file of this name is there");
  await expect(page).toHaveTitle("Lading");
  expect(await locks.evaluate((held) => held.size)).toBe(0);
  expect(await server.files()).toHaveLength(3);
  const [old] = (await server.files()).filter(({ name }) => name === "a.txt");
  await library.choose(path("a.txt"));
  await asking.getByRole("button", { name: "Replace" }).click();
  await expect(library.complete).toBeVisible();
  expect(await (await server.ask(`/v1/files/${old?._id}`)).text()).toBe("new a.txt");
  expect(await server.files()).toHaveLength(3);
  await server.ask(`/v1/files/${old?._id}`, { method: "DELETE" });
  await server.put("a.txt", "old a.txt", "text/plain");
  await library.choose(path("a.txt"), path("b.txt"), path("c.txt"));
  await asking.getByLabel("The same for all others").check();
  await asking.getByRole("button", { name: "Keep both" }).click();
  await expect(library.complete).toBeVisible();
  await expect(library.status).toContainText("1 not sent: already there");
  expect((await server.files()).map(({ name }) => name).sort()).toEqual(["a.txt", "a.txt", "b.txt", "b.txt", "c.txt"]);
});
