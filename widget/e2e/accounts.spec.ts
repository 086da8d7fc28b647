/** Accounts: sign up by an invitation, sign in and out, sessions, another password; sound in both schemes. */

import type { Browser, Page } from "@playwright/test";
import { sound } from "./axe.js";
import { Server } from "./server.js";
import { expect, test } from "./world.js";

const PASSWORD = "correct horse";
const OTHER = "battery staple";

/** One server for all: each test has an account of its own. */
let server: Server;

test.beforeAll(async () => {
  server = await Server.start({ LADING_AUTH: "accounts", LADING_SIGNUP: "invite" });
});
test.afterAll(() => server.stop());

async function add(name: string): Promise<void> {
  await server.ask("/v1/users", { method: "POST", body: JSON.stringify({ name, password: PASSWORD }) });
}

async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.goto(server.url);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

const inside = (page: Page) => expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
const outside = (page: Page) => expect(page.getByRole("button", { name: "Sign in", exact: true })).toBeVisible();

async function elsewhere(browser: Browser): Promise<Page> {
  return (await browser.newContext()).newPage();
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`every view of accounts is accessible in ${colorScheme}`, async ({ page, browser }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const name = `ann-${colorScheme}`;
    await add(name);
    await page.setViewportSize({ width: 390, height: 844 });
    await signIn(page, name, "wrong horse");
    await expect(page.getByText("The name or the password is wrong.")).toBeVisible();
    await sound(page, "signing in");
    await page.getByRole("button", { name: "Sign in with a token" }).click();
    await sound(page, "a token");
    await page.goto(`${server.url}/#invite=lg_${"x".repeat(43)}`);
    await page.reload();
    await expect(page.getByRole("button", { name: "Make the account" })).toBeVisible();
    await sound(page, "signing up");
    const other = await elsewhere(browser);
    await signIn(other, name);
    await inside(other);
    await signIn(page, name);
    await inside(page);
    await page.getByRole("button", { name, exact: true }).click();
    await expect(page.getByRole("button", { name: "Sign out everywhere else" })).toBeVisible();
    await sound(page, "the account");
  });
}

test("someone who is invited makes an account, uploads, signs out and in again", async ({ page }) => {
  await page.goto(`${server.url}/?token=${server.token}`);
  await inside(page);
  // The admin, who is signed in by a token, makes the invitation.
  const body = JSON.stringify({ action: "signup" });
  const { url } = (await (await server.ask("/v1/grants", { method: "POST", body })).json()) as { url: string };
  await page.getByRole("button", { name: "Sign out" }).click();
  await outside(page);
  await page.goto(server.url + url);
  await page.reload();
  await expect(page.getByText("You are invited.")).toBeVisible();
  await page.getByLabel("Name").fill("guest");
  await page.getByLabel("Password").fill("short");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Password")).toBeFocused();
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await inside(page);
  expect(new URL(page.url()).hash).toBe("");
  const input = page.getByLabel("Files to upload");
  await input.setInputFiles({ name: "note.txt", mimeType: "text/plain", buffer: Buffer.alloc(3_000_000, "text ") });
  await expect(page.getByRole("heading", { name: /uploaded$/ })).toBeVisible();
  const { files } = (await (await server.ask("/v1/files?user_id=guest")).json()) as { files: { name: string }[] };
  expect(files.map(({ name }) => name)).toEqual(["note.txt"]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await outside(page);
  await signIn(page, "Guest");
  await inside(page);
  await expect(page.getByText("note.txt").first()).toBeVisible();
});

test("a reload goes on with the session, also in two tabs at once", async ({ page, context }) => {
  await add("bea");
  await signIn(page, "bea");
  await inside(page);
  const tab = await context.newPage();
  await tab.goto(server.url);
  await inside(tab);
  for (let round = 0; round < 3; round++) {
    await Promise.all([page.reload(), tab.reload()]);
    await Promise.all([inside(page), inside(tab)]);
  }
  await context.clearCookies({ name: "lading_token" });
  await page.reload();
  await inside(page);
});

test("an access token that is gone is renewed by the request that misses it", async ({ page, context }) => {
  await add("cleo");
  await signIn(page, "cleo");
  await inside(page);
  await context.clearCookies({ name: "lading_token" });
  await page.getByRole("button", { name: "cleo", exact: true }).click();
  await expect(page.getByText("(here)")).toBeVisible();
});

test("sessions are seen and ended, and another password ends all", async ({ page, browser }) => {
  await add("dora");
  const phone = await elsewhere(browser);
  const tablet = await elsewhere(browser);
  for (const each of [page, phone, tablet]) {
    await signIn(each, "dora");
    await inside(each);
  }
  await page.getByRole("button", { name: "dora", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "dora" });
  await expect(dialog.getByRole("listitem")).toHaveCount(3);
  await dialog.getByRole("button", { name: /^End the session/ }).first().click();
  await expect(dialog.getByRole("listitem")).toHaveCount(2);
  await tablet.reload();
  await outside(tablet);

  await dialog.getByLabel("Present password").fill("wrong horse");
  await dialog.getByLabel("New password").fill(OTHER);
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("alert")).toHaveText("The present password is wrong.");
  await dialog.getByLabel("Present password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("listitem")).toHaveCount(1);
  await phone.reload();
  await outside(phone);
  await page.reload();
  await inside(page);
  await signIn(phone, "dora");
  await expect(phone.getByText("The name or the password is wrong.")).toBeVisible();
  await signIn(phone, "dora", OTHER);
  await inside(phone);
});
