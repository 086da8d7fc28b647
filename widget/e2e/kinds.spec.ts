/** Kinds of files: chosen in the page, and obeyed by the server. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { MB, sample } from "./samples.js";
import { expect, test as base } from "./world.js";

const KINDS = `
[clip]
max_size = "2MB"
directory = "clips"
public = true

[film]
`;

const test = base.extend<object, { kinds: string }>({
  kinds: [async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "lading-kinds-"));
    const path = join(folder, "kinds.toml");
    await writeFile(path, KINDS);
    await use(path);
    await rm(folder, { recursive: true });
  }, { scope: "worker" }],
  settings: async ({ kinds }, use) => use({ LADING_KINDS: kinds }),
});

interface OfKind {
  name: string;
  kind: string | null;
  directory: string;
}

test("files are of the chosen kind; one that is too large for it can be sent as another", async ({ library, page, server, folder }) => {
  const chooser = page.getByLabel("Kind of files");
  await expect(chooser.getByRole("option")).toHaveText(["Any", "clip", "film"]);
  await chooser.selectOption("clip");
  await expect(page.locator(".kinds .hint")).toHaveText(
    "at most 2.0 MB · in the directory clips · anyone with the address can fetch them",
  );
  const { violations } = await new AxeBuilder({ page }).include(".kinds").analyze();
  expect(violations).toEqual([]);

  const [small, large] = [join(folder, "small.bin"), join(folder, "large.bin")];
  await sample(small, 1.5 * MB);
  await sample(large, 2.5 * MB);
  await library.choose(small);
  await expect(library.card("clips")).toBeVisible();
  await library.choose(large);
  const failed = page.getByRole("list", { name: "Failed uploads" });
  await expect(failed).toContainText("The file is too large: at most 2.0 MB are allowed here.");
  await chooser.selectOption("film");
  await expect(page.locator(".kinds .hint")).toHaveText("No limits of its own");
  await page.getByRole("button", { name: "Try again: large.bin" }).click();
  await expect(library.card("large.bin")).toBeVisible();

  const files = (await server.files()) as unknown as OfKind[];
  expect(files.map(({ name, kind, directory }) => [name, kind, directory])).toEqual([
    ["large.bin", "film", ""],
    ["small.bin", "clip", "clips"],
  ]);
  await library.card("clips").click();
  const dialog = await library.open("small.bin");
  await expect(dialog.locator(".facts")).toContainText("Kindclip");
});

test("many files at once are of the chosen kind, and are not sent twice", async ({ library, page, server, folder }) => {
  await page.getByLabel("Kind of files").selectOption("clip");
  const paths = Array.from({ length: 60 }, (_, each) => join(folder, "many", `f${each}.txt`));
  await mkdir(join(folder, "many"));
  for (const path of paths) await writeFile(path, path);
  for (const said of ["60 files uploaded", "60 files already there"]) {
    await library.choose(...paths);
    await expect(page.locator(".queue h2")).toContainText(said, { ignoreCase: true });
    await page.locator(".queue").getByRole("button", { name: "Close" }).click();
  }
  const files = (await server.files()) as unknown as OfKind[];
  expect(files).toHaveLength(60);
  expect(new Set(files.map(({ kind, directory }) => `${kind} ${directory}`))).toEqual(new Set(["clip clips"]));
});

base("a server without kinds offers none", async ({ library, page }) => {
  await expect(page.getByText("Drop files or folders anywhere")).toBeVisible();
  await expect(library.card("anything")).toBeHidden();
  await expect(page.getByLabel("Kind of files")).toBeHidden();
});
