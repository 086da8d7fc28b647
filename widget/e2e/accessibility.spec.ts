/** Accessibility: axe on every view in light and dark, and the whole way by keyboard. */

import { join } from "node:path";
import type { Page } from "@playwright/test";
import { sound } from "./axe.js";
import { MB, sample } from "./samples.js";
import { expect, test } from "./world.js";

for (const colorScheme of ["light", "dark"] as const) {
  test(`every view is accessible in ${colorScheme}`, async ({ library, page, context, server, network, folder }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    test.slow();
    /** As it is, and on a phone, where nothing may make the page wider. What axe sees there is much the same. */
    const views = async (view: string, phone = false) => {
      await sound(page, view);
      await page.setViewportSize({ width: 360, height: 740 });
      if (phone) await sound(page, `${view} on a phone`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(wide, `${view} scrolls sideways`).toBeLessThanOrEqual(0);
      await page.setViewportSize({ width: 1280, height: 720 });
    };
    await views("empty");
    for (const type of ["video/mp4", "audio/mpeg", "text/plain"]) await server.put(`a.${type.split("/")[1]}`, "x", type, ["a tag"]);
    await server.ask(`/v1/files?name=${"a long name ".repeat(9)}&directory=${"a folder with a long name ".repeat(4)}/b`, { method: "POST", body: "x" });
    await server.ask("/v1/uploads", { method: "POST", body: JSON.stringify({ name: "other.mp4", size: 9 }) });
    await page.reload();
    await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeVisible();
    await expect(page.locator(".card")).toHaveCount(4);
    await views("library", true);
    await page.getByRole("button", { name: "List" }).click();
    await page.getByLabel("Select a.plain").check();
    await views("a list with a selection");
    for (const name of ["Move", "Tag", "Share", "Delete"]) {
      await page.getByRole("toolbar").getByRole("button", { name }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
      await sound(page, `the dialog ${name}`);
      await page.keyboard.press("Escape");
      await expect(page.getByRole("dialog")).toHaveCount(0);
    }
    await page.getByRole("button", { name: "Select nothing" }).click();
    await page.getByRole("button", { name: "Grid" }).click();
    await page.locator(".card.folder .card-open").click();
    await expect(page.getByRole("navigation", { name: "Path" })).toBeVisible();
    await views("a folder");
    await page.getByRole("button", { name: "Ask for files" }).click();
    await page.getByRole("button", { name: "Make a link" }).click();
    await expect(page.getByRole("textbox", { name: "The link" })).toBeVisible();
    await sound(page, "asking for files");
    await page.keyboard.press("Escape");
    await page.getByRole("navigation", { name: "Path" }).getByRole("link", { name: "Library" }).click();

    network.rate = 4 * MB;
    const path = join(folder, "film.mp4");
    await sample(path, 30 * MB);
    await library.choose(path);
    await expect.poll(() => server.stored()).toBeGreaterThan(0);
    await views("uploading", true);
    await library.status.getByRole("button", { name: "Pause", exact: true }).click();
    await expect(library.status.getByText("Paused")).toBeVisible();
    await sound(page, "paused");
    network.rate = Infinity;
    await library.status.getByRole("button", { name: "Resume", exact: true }).click();
    await expect(library.complete).toBeVisible();
    await sound(page, "done");
    await sample(path, MB);
    await library.choose(path);
    await expect(page.getByRole("dialog", { name: "A file of this name is there" })).toBeVisible();
    await views("a name that is taken");
    await page.keyboard.press("Escape");

    const dialog = await library.open("a.plain");
    await expect(dialog.getByLabel("The text of a.plain")).toHaveText("x");
    await views("a file");
    await dialog.getByRole("button", { name: "Share" }).click();
    const sharing = page.getByRole("dialog", { name: "Share a.plain" });
    await sharing.getByRole("button", { name: "Make a link" }).click();
    await expect(sharing.getByRole("textbox", { name: "The link" })).toBeVisible();
    await views("sharing");
    await sharing.getByRole("button", { name: "Close" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("dialog", { name: "Delete this file?" })).toBeVisible();
    await sound(page, "a question");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Links" }).click();
    for (const button of await page.getByRole("button", { name: "Change" }).all()) await button.click();
    await views("links", true);
    await page.getByRole("link", { name: "Files", exact: true }).click();
    await page.getByLabel("Select a.plain").check({ force: true });
    await page.keyboard.press("Delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("group", { name: "Just done" })).toBeVisible();
    await views("a notice");
    await page.getByRole("link", { name: "Trash" }).click();
    await expect(page.getByRole("list", { name: "Trash" })).toBeVisible();
    await views("the trash");

    await context.clearCookies();
    await page.goto(`${network.url}/?token=wrong`);
    await expect(page.getByLabel("Token")).toBeVisible();
    await sound(page, "signing in");
  });
}

test("a failed upload is accessible, and screen readers announce it", async ({ library, page, server, folder }) => {
  await server.ask("/v1/users/admin/quota", { method: "PUT", body: '{"quota": 1000}' });
  const path = join(folder, "film.mp4");
  await sample(path, MB);
  await library.choose(path);
  await expect(page.getByRole("alert").getByText(/film\.mp4: The file does not fit into your quota/)).toBeAttached();
  await expect(page.getByRole("list", { name: "Failed uploads" })).toBeVisible();
  await sound(page, "failed");
});

test("screen readers hear the progress of an upload", async ({ library, page, server, network, folder }) => {
  await page.evaluate(() => {
    const told: string[] = [];
    const voice = document.querySelector('[aria-live="polite"]');
    const heard = () => voice?.textContent && told.push(voice.textContent);
    new MutationObserver(heard).observe(voice as Node, { childList: true, characterData: true, subtree: true });
    (window as unknown as { told: string[] }).told = told;
  });
  const heard = () => page.evaluate(() => (window as unknown as { told: string[] }).told);
  const quarters = [25, 50, 75];
  const path = join(folder, "film.mp4");
  await sample(path, 40 * MB);
  // The next bytes pass when a quarter was heard, so that no machine is too slow to tell each.
  network.allow(15 * MB);
  await library.choose(path);
  for (const quarter of quarters) {
    await expect.poll(heard).toContain(`${quarter} percent uploaded.`);
    network.allow(quarter < 75 ? ((quarter + 37.5) / 100) * 40 * MB : Infinity);
  }
  await expect(library.complete).toBeVisible();
  expect(await server.files()).toHaveLength(1);
  await expect.poll(async () => (await heard()).at(-1)).toBe("film.mp4 is uploaded.");
  const told = await heard();
  expect(told).toEqual(["Uploading film.mp4.", ...quarters.map((quarter) => `${quarter} percent uploaded.`), "film.mp4 is uploaded."]);
});

test("everything can be done by keyboard", async ({ library, page, server, folder }) => {
  const path = join(folder, "note.txt");
  await sample(path, 5000);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the library" })).toBeFocused();

  // Wait for it early: the file dialog takes a moment to open.
  const choosing = page.waitForEvent("filechooser");
  await reach(page, "Choose files");
  await page.keyboard.press("Enter");
  await (await choosing).setFiles(path);
  await expect(library.complete).toBeVisible();

  // Not the button beside the finished upload, which has the same name in its label.
  await reach(page, "note.txt", ".cards");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "note.txt" });
  await expect(dialog).toBeVisible();
  // The focus stays inside the dialog.
  for (let step = 0; step < 12; step++) {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  await reach(page, "Delete");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Keep it" })).toBeFocused();
  await page.keyboard.press("Escape");
  // It is hidden at once, but the page gets the event a moment later.
  await expect(page.getByText("Delete this file?")).toHaveCount(0);
  await expect(dialog.getByRole("button", { name: "Delete" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Keep it" })).toBeFocused();
  await page.keyboard.press("Shift+Tab");
  await expect(page.getByRole("dialog", { name: "Delete this file?" }).getByRole("button", { name: "Delete" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("heading", { name: "Library" })).toBeFocused();
  expect(await server.files()).toEqual([]);
});

/** Press Tab until the element with this name has the focus. */
async function reach(page: Page, name: string, within = "body"): Promise<void> {
  for (let step = 0; step < 60; step++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate((within) => {
      const { activeElement, body } = document;
      // Between the last element and the first one the browser itself has the focus, and the body has all texts.
      const element = activeElement !== body && activeElement?.closest(within) ? activeElement : null;
      return element?.getAttribute("aria-label") ?? element?.textContent ?? "";
    }, within);
    if (focused.includes(name)) return;
  }
  throw new Error(`${name} cannot be reached by keyboard`);
}
