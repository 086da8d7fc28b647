/** `/docs`: the API as a page that can be searched and tried out, and that asks no other server. */

import AxeBuilder from "@axe-core/playwright";
import { expect, test } from "./world.js";

const OPERATION = "[id$='tag/files/GET/v1/files']";

/** What axe finds in Scalar's own parts, which Lading cannot change; docs/decisions/0096. */
const SCALARS = new Set([
  "aria-required-children",
  "button-name",
  "color-contrast",
  "label-content-name-mismatch",
  "landmark-unique",
  "scrollable-region-focusable",
]);

test("the API can be read, searched and tried out", async ({ page, server, network }) => {
  const file = await server.put("tried.txt", "hello");
  await page.goto(`${network.url}/?token=${server.token}`);
  await page.goto(`${network.url}/docs`);
  await page.getByRole("search").click();
  await page.getByPlaceholder(/search/i).last().fill("list files");
  await page.getByRole("option", { name: /List or search files/ }).click();
  const operation = page.locator(OPERATION).last();
  await expect(operation.getByText(/curl http/)).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).include(OPERATION).analyze();
  expect(violations.map(({ id }) => id).filter((id) => !SCALARS.has(id))).toEqual([]);

  await operation.getByRole("button", { name: /curl/i }).click();
  for (const language of ["Python", "JavaScript"]) await expect(page.getByText(language, { exact: true }).last()).toBeVisible();
  await page.keyboard.press("Escape");

  // Whoever is signed in on the page is it here.
  await operation.getByRole("button", { name: /test request/i }).click();
  await page.getByRole("dialog").getByRole("button", { name: /^send/i }).first().click();
  await expect(page.getByText(file._id).first()).toBeVisible();
});
