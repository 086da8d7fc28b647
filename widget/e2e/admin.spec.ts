/** What admins see: the state of the server, users, and what all of them have open. */

import { sound } from "./axe.js";
import { expect, test } from "./world.js";

test.use({ settings: { LADING_AUTH: "accounts", LADING_SIGNUP: "invite" } });

test("an admin sees what all do, and manages users", async ({ page, server, network }) => {
  const json = (body: unknown): RequestInit => ({ method: "POST", body: JSON.stringify(body) });
  await server.ask("/v1/users", json({ name: "ann", password: "correct horse", quota: 5e9 }));
  await server.ask("/v1/uploads", json({ name: "film.mp4", size: 9e6, user_id: "ann" }));
  await server.ask("/v1/grants", json({ action: "upload", user_id: "ann", directory: "wedding" }));
  await page.goto(`${network.url}/?token=${server.token}`);
  await page.getByRole("link", { name: "Admin" }).press("Enter");
  const section = (name: string) => page.getByRole("region", { name, exact: true });
  await expect(page.getByRole("heading", { name: "Admin" })).toBeFocused();
  await expect(section("Server").getByText(/^\d.*B\/s$|^0 bytes\/s$/).first()).toBeVisible();
  const users = section("Users").getByRole("listitem");
  await expect(users.filter({ hasText: "ann" })).toContainText("9.0 MB reserved of 5.0 GB");
  await expect(section("Unfinished uploads of all").getByRole("listitem")).toContainText("film.mp4");
  await expect(section("Grants and links in force").getByRole("listitem")).toContainText("Upload for ann into wedding");

  // What changes elsewhere is shown here.
  await server.ask("/v1/uploads", json({ name: "second.mp4", size: 1e6, user_id: "ann" }));
  await expect(section("Unfinished uploads of all").getByRole("listitem")).toHaveCount(2);
  for (const [scheme, width] of [["light", 1280], ["dark", 390]] as const) {
    await page.setViewportSize({ width, height: 850 });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await sound(page, `admin, ${scheme}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide).toBe(0);
    await section("Server").scrollIntoViewIfNeeded();
    await page.screenshot({ path: `dist/e2e/admin-${scheme}.png` });
  }

  // All by keyboard.
  await page.getByRole("button", { name: "Add a user" }).press("Enter");
  await page.getByLabel("Name").fill("bob");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByLabel("Quota in GB").fill("2");
  await sound(page, "adding a user");
  await page.keyboard.press("Enter");
  await expect(users.filter({ hasText: "bob" })).toContainText("0 bytes used of 2.0 GB");
  await page.getByRole("button", { name: "Change bob" }).press("Enter");
  await sound(page, "changing a user");
  await page.getByRole("button", { name: "Disable" }).press("Enter");
  await expect(users.filter({ hasText: "bob" })).toContainText("disabled");
  await page.getByRole("button", { name: "Change ann" }).press("Enter");
  await page.getByLabel("Quota in GB").fill("");
  await page.keyboard.press("Enter");
  await expect(users.filter({ hasText: "ann" })).not.toContainText("of 5.0 GB");
  await page.getByRole("button", { name: "Invite" }).press("Enter");
  await page.getByRole("button", { name: "Make a link" }).press("Enter");
  await expect(page.getByLabel(/Send this link/)).toHaveValue(/#invite=lg_/);
  // What is asked for before the browser tells that a dialog was closed stays open.
  await page.evaluate(async () => {
    const closed = document.querySelector("dialog")!;
    closed.close();
    document.querySelector<HTMLElement>("[aria-label='Change ann']")!.click();
    await new Promise((told) => closed.addEventListener("close", told));
  });
  await expect(page.getByRole("dialog", { name: "ann" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.getByRole("button", { name: "Change bob" }).press("Enter");
  await page.getByRole("button", { name: "Delete…" }).press("Enter");
  await page.getByRole("button", { name: "Delete", exact: true }).press("Enter");
  await expect(users.filter({ hasText: "bob" })).toHaveCount(0);
  await page.getByRole("button", { name: "Abort the upload of film.mp4 of ann" }).press("Enter");
  await page.getByRole("button", { name: "Abort", exact: true }).press("Enter");
  await expect(section("Unfinished uploads of all").getByRole("listitem")).toHaveCount(1);
  await expect(page.getByRole("dialog")).toHaveCount(0); // the list may hear of it sooner
  await page.getByRole("button", { name: /^Revoke: Upload for ann/ }).press("Enter");
  await page.getByRole("button", { name: "Revoke", exact: true }).press("Enter");
  await expect(page.getByText("The grant is revoked.")).toBeAttached();

  // Nobody else is led here, and the address alone shows nothing.
  await page.context().clearCookies();
  await page.goto("about:blank"); // or the address is the one that is shown, and nothing is loaded
  await page.goto(`${network.url}/#admin`);
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill("correct horse");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Admin" })).toHaveCount(0);
});
