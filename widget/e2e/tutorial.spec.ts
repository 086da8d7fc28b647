/** The site of docs/tutorial.md in a browser: its back end and its page, as they stand there. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { film } from "./films.js";
import { Proxy } from "./proxy.js";
import { Server } from "./server.js";
import { expect, test as base } from "./world.js";

const TUTORIAL = resolve(import.meta.dirname, "../../docs/tutorial.md");
const PYTHON = resolve(import.meta.dirname, "../../.venv/bin/python");

/** What the tutorial writes into this file. */
async function written(name: string): Promise<string> {
  const text = await readFile(TUTORIAL, "utf8");
  const found = new RegExp(`^cat > ${name} <<'END'\n(.*?)^END$`, "ms").exec(text)?.[1];
  if (found === undefined) throw new Error(`the tutorial writes no ${name}`);
  return found;
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

/** The reader's folder, and the address of the site. */
interface Made {
  readonly folder: string;
  readonly site: string;
}

const test = base.extend<{ made: Made; address: string }>({
  made: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "lading-tutorial-"));
    await writeFile(join(folder, "kinds.toml"), await written("kinds.toml"));
    await use({ folder, site: `http://127.0.0.1:${await freePort()}` });
    await rm(folder, { recursive: true, force: true });
  },
  server: async ({ made }, use) => {
    const kinds = join(made.folder, "kinds.toml");
    const server = await Server.start({ LADING_KINDS: kinds, LADING_ALLOWED_ORIGINS: made.site });
    await use(server);
    await server.stop();
  },
  network: async ({ server }, use) => {
    const network = await Proxy.before(server.port);
    await use(network);
    await network.close();
  },
  address: async ({ made, server, network }, use) => {
    const { folder, site } = made;
    const here = (text: string): string =>
      text.replaceAll("http://127.0.0.1:8081", site).replaceAll("http://127.0.0.1:8080", network.url);
    for (const name of ["site.py", "site.html"]) await writeFile(join(folder, name), here(await written(name)));
    await mkdir(join(folder, "lading-data"));
    await writeFile(join(folder, "lading-data", "admin-token"), server.token);
    const child: ChildProcess = spawn(PYTHON, ["site.py"], { cwd: folder, stdio: "ignore" });
    const exited = once(child, "exit");
    await expect.poll(async () => (await fetch(site).catch(() => null))?.status).toBe(200);
    await use(`${site}/?user=ann`);
    child.kill("SIGKILL");
    await exited;
  },
});

const choose = (page: Page, label: string, path: string) => page.getByLabel(label).setInputFiles(path);

test("a user gets an avatar and a film, and sees both", async ({ page, address, made, server }) => {
  await page.goto(address);
  await expect(page.getByRole("heading")).toHaveText("Films of ann");
  const photo = join(made.folder, "photo.png");
  await page.screenshot({ path: photo });
  await choose(page, "New avatar", photo);
  const avatar = page.getByAltText("Avatar");
  await expect.poll(() => avatar.evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight])).toEqual([160, 160]);
  await film(made.folder, "film.webm", 3, "300k");
  await choose(page, "New film", join(made.folder, "film.webm"));
  const video = page.locator("video");
  await expect.poll(() => video.evaluate((shown: HTMLVideoElement) => shown.videoWidth)).toBe(480);
  const poster = (await video.getAttribute("poster")) ?? "";
  await expect.poll(async () => (await page.request.get(poster)).headers()["content-type"]).toBe("image/webp");
  expect((await (await server.ask("/v1/files?user_id=ann")).json()) as { files: unknown[] }).toMatchObject({
    files: [{ name: "film.webm", kind: "film" }, { name: "photo.png", kind: "avatar" }],
  });
});

test("a film is no avatar, whatever its name", async ({ page, address, made }) => {
  const path = join(made.folder, "photo.png");
  await writeFile(path, await film(made.folder, "film.webm", 1, "300k"));
  await page.goto(address);
  await choose(page, "New avatar", path);
  await expect(page.getByRole("status")).toContainText("does not accept files of this type");
});

test("a film goes on after a reload in the middle", async ({ page, address, made, network, server }) => {
  const bytes = await film(made.folder, "film.webm", 8, "6M");
  await page.goto(address);
  network.allow(network.sent + bytes.length * 0.7); // it cannot end before it is looked at
  await choose(page, "New film", join(made.folder, "film.webm"));
  const stored = async () => {
    const { uploads } = (await (await server.ask("/v1/uploads?user_id=ann")).json()) as { uploads: { upload_size: number }[] };
    return uploads[0]?.upload_size ?? 0;
  };
  await expect.poll(stored).toBeGreaterThan(bytes.length / 4);
  network.allow(Infinity);
  network.cut();
  network.mend();
  await page.goto(address);
  await choose(page, "New film", join(made.folder, "film.webm"));
  await expect(page.locator("video")).toHaveCount(1);
  expect(network.sent).toBeLessThan(bytes.length * 1.7);
  const { files } = (await (await server.ask("/v1/files?user_id=ann")).json()) as { files: { size: number }[] };
  expect(files.map(({ size }) => size)).toEqual([bytes.length]);
});
