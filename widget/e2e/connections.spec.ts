/**
 * Over HTTP/1.1 a browser has six connections to a server, for all tabs together. Neither previews that the server
 * is making nor the streams of many tabs take them all.
 */

import { type Browser, launch, type Page } from "puppeteer-core";
import { expect, test } from "./world.js";

/** What the browser can wait for at the same time. */
const CONNECTIONS = 6;

test("a search is answered while previews are being made, and those that it hides are asked for no more", async ({ library, page, server, network }) => {
  for (let number = 1; number <= 2 * CONNECTIONS; number += 1) await server.put(`photo-${number}.jpg`, "no picture", "image/jpeg");
  const running = new Set<string>();
  page.on("request", (request) => /\/[1-6]$/.test(request.url()) && running.add(request.url()));
  page.on("requestfailed", (request) => running.delete(request.url()));
  network.silence = /^(GET|HEAD) \/v1\/files\/[0-9a-f]+\/[1-6] /;
  await page.reload();
  await expect(library.card("photo-1.jpg")).toBeVisible();
  await expect.poll(() => network.unanswered).toBeGreaterThan(2);
  await page.getByLabel("Search by name").fill("photo-7");
  await expect(page.locator(".card-name")).toHaveText(["photo-7.jpg"]);
  await expect.poll(() => running.size).toBe(1);
});

test.describe("seven tabs", () => {
  let browser: Browser;

  test.beforeAll(async ({}, { project }) => {
    // To Playwright every tab is in front.
    const { executablePath, args } = project.use.launchOptions ?? {};
    browser = await launch({ executablePath: executablePath ?? "", args: args ?? [], headless: true });
  });
  test.afterAll(() => browser.close());

  test("each is alive when it is in front, and shows what came meanwhile", async ({ server }) => {
    const tabs: Page[] = [];
    while (tabs.length <= CONNECTIONS) {
      const tab = await browser.newPage();
      await tab.goto(`${server.url}/?token=${server.token}`);
      await tab.waitForSelector(".library");
      tabs.push(tab);
    }
    const front = async (tab: Page) => {
      const stream = tab.waitForResponse((answer) => answer.url().endsWith("/v1/events"));
      await tab.bringToFront();
      expect((await stream).status()).toBe(200);
    };
    for (const tab of tabs) await front(tab);
    await server.put("late.txt", "text");
    const [first] = tabs as [Page];
    await front(first);
    await expect.poll(() => first.$$eval(".card-name", (names) => names.map(({ textContent }) => textContent))).toEqual(["late.txt"]);
  });
});
