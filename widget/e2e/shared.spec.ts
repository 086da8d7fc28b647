/** Links in the browser of somebody without an account: seen, played, downloaded, and accessible. */

import { readFile } from "node:fs/promises";
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { film } from "./films.js";
import { expect, test } from "./world.js";

async function sound(page: Page, view: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" | ")}`);
  expect(told, view).toEqual([]);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide, `${view} scrolls sideways`).toBeLessThanOrEqual(0);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`a stranger opens a folder with a password, plays and downloads, in ${colorScheme}`, async ({ page, server, folder }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width: 360, height: 740 });
    const data = await film(folder, "faststart.mp4", 2, "200k");
    const put = (name: string, directory: string, body: BodyInit, type: string) =>
      server.ask(`/v1/files?${new URLSearchParams({ name, directory })}`, { method: "POST", body, headers: { "Content-Type": type } });
    const stored = (await (await put("film.mp4", "june", data, "video/mp4")).json()) as { _id: string };
    await put(`${"a long name ".repeat(12)}.txt`, "june/letters", "Dear Ann", "text/plain");
    const made = await server.ask("/v1/grants", {
      method: "POST",
      body: JSON.stringify({ action: "share", directory: "june", password: "sesame", expires_in: 600 }),
    });
    const { url, id } = (await made.json()) as { url: string; id: string };

    await page.goto(server.url + url);
    await expect(page.getByLabel("Password")).toBeFocused();
    await sound(page, "the question for the password");
    await page.keyboard.type("open");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("alert")).toHaveText("This is not the password.");
    await sound(page, "a wrong password");
    await page.keyboard.type("sesame");
    await page.keyboard.press("Enter");

    await expect(page.getByRole("heading", { name: "june" })).toBeVisible();
    await sound(page, "a folder");
    await page.getByRole("link", { name: "letters" }).click();
    await expect(page.getByRole("heading", { name: "letters" })).toBeVisible();
    await sound(page, "a folder inside");
    await page.getByRole("navigation").getByRole("link", { name: "june" }).click();

    await page.getByRole("link", { name: "film.mp4", exact: true }).click();
    await expect(page.getByRole("heading", { name: "film.mp4" })).toBeVisible();
    const video = page.locator("video");
    await video.evaluate((each: HTMLVideoElement) => {
      each.muted = true;
      return each.play();
    });
    await expect.poll(() => video.evaluate((each: HTMLVideoElement) => each.currentTime)).toBeGreaterThan(0.2);
    await sound(page, "a film");
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
    expect(saved.suggestedFilename()).toBe("film.mp4");
    expect(Buffer.compare(await readFile(await saved.path()), Buffer.from(data))).toBe(0);
    await page.getByRole("link", { name: "Back to the folder" }).click();
    const [zip] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download all as a zip file" }).click(),
    ]);
    expect(zip.suggestedFilename()).toBe("june.zip");
    const shown = (await (await server.ask(`/v1/grants/${id}`)).json()) as { used: number };
    expect(shown.used).toBe(1);
    expect(stored._id).toBeTruthy();

    await server.ask(`/v1/grants/${id}`, { method: "DELETE" });
    await page.reload();
    await expect(page.getByRole("heading", { name: "There is nothing at this address" })).toBeVisible();
    await sound(page, "a revoked link");
  });
}

test("a stranger opens the address of an upload grant, and sends a file with the keyboard", async ({ page, server, folder }) => {
  const made = await server.ask("/v1/grants", {
    method: "POST",
    body: JSON.stringify({ action: "upload", max_size: 5_000_000, directory: "asked" }),
  });
  const { url } = (await made.json()) as { url: string };
  await film(folder, "film.webm", 1, "100k");
  await page.goto(server.url + url);
  await sound(page, "the form");
  await page.getByLabel("File").setInputFiles(`${folder}/film.webm`);
  await page.getByRole("button", { name: "Send" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "It has arrived" })).toBeVisible();
  await sound(page, "arrived");
  expect((await server.files()).map(({ name }) => name)).toEqual(["film.webm"]);
});
