/** What must not stop an upload: a cut network, a killed server, a reload, a proxy, an expired token. */

import { createHash, createHmac } from "node:crypto";
import { open, readFile, utimes } from "node:fs/promises";
import { join } from "node:path";
import { MB, sample } from "./samples.js";
import { expect, LadingPage, test } from "./world.js";

test("an upload survives a cut network", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(4 * MB);
  network.cut();
  await expect(page.getByText("No connection to the server.")).toBeVisible();
  const [before] = await server.uploads();
  expect(before?.upload_size).toBeLessThan(30 * MB);
  network.rate = Infinity;
  network.mend();
  await expect(library.complete).toBeVisible();
  await expect(page.getByText("No connection to the server.")).toBeHidden();
  const [file] = await server.files();
  expect(file?._id).toBe(before?._id);
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
});

test("an upload survives a browser that is offline", async ({ library, page, context, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 20 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(0);
  await context.setOffline(true);
  await expect(page.getByText("No connection to the server.")).toBeVisible();
  network.rate = Infinity;
  await context.setOffline(false);
  await expect(library.complete).toBeVisible();
});

test("an upload survives a server that is killed and restarted", async ({ library, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(8 * MB);
  await server.kill();
  await server.restart();
  const [before] = await server.uploads();
  expect(before?.upload_size).toBeGreaterThan(8 * MB);
  network.rate = Infinity;
  await expect(library.complete).toBeVisible();
  const [file] = await server.files();
  expect(file?._id).toBe(before?._id);
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
});

test("after a reload, the same file resumes", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(8 * MB);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  const row = page.locator(".unfinished > li");
  await expect(row).toContainText("film.mp4");
  await expect(page.getByText("Choose the same file again")).toBeVisible();
  const [before] = await server.uploads();
  const sent = network.sent;
  network.rate = 3 * MB;
  await library.choose(path);
  // Bytes stored before do not count for the rate; otherwise 0 s would be left.
  await expect(library.status).toContainText(/about\s\d+\s(s|min)\sleft/);
  network.rate = Infinity;
  await expect(library.complete).toBeVisible();
  await expect(row).toBeHidden();
  const [file] = await server.files();
  expect(file?._id).toBe(before?._id);
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  // Only the missing bytes were sent.
  expect(network.sent - sent).toBeLessThan(30 * MB - 8 * MB + 4 * MB);
});

for (const status of [400, 403, 426, 501]) {
  test(`an upload works through a proxy that answers WebSocket with ${status}`, async ({ library, server, network, folder }) => {
    network.webSocketStatus = status;
    const path = join(folder, "film.mp4");
    const sha256 = await sample(path, 20 * MB);
    await library.choose(path);
    await expect(library.complete).toBeVisible();
    expect(network.upgrades).toBe(0);
    const [file] = await server.files();
    expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  });
}

test("a proxy that accepts WebSocket and swallows everything costs two attempts, and only the first file", async ({ library, server, network, folder }) => {
  network.webSocketStatus = 101;
  const [film, next] = [join(folder, "film.mp4"), join(folder, "next.mp4")];
  const sha256 = await sample(film, 20 * MB);
  await sample(next, 5 * MB);
  const begun = Date.now();
  await library.choose(film);
  await expect(library.complete).toBeVisible({ timeout: 60_000 });
  // Two attempts of ten seconds, and the pieces.
  expect(Date.now() - begun).toBeLessThan(60_000);
  expect(network.swallowed).toBe(2);
  const [file] = await server.files();
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  await library.choose(next);
  await expect(library.card("next.mp4")).toBeVisible();
  expect(network.swallowed).toBe(2);
});

test("what proxies answer instead of the server is a temporary failure", async ({ library, server, network, folder }) => {
  network.webSocketStatus = 403;
  const statuses = [408, 425, 500, 502, 503, 504, 520, 524, 530];
  network.failures = { pattern: /^PUT .*chunks/, statuses: [...statuses] };
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 40 * MB);
  await library.choose(path);
  await expect(library.complete).toBeVisible({ timeout: 90_000 });
  expect(network.failures.statuses).toEqual([]);
  const [file] = await server.files();
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
});

test("a file whose time changed resumes when it is chosen again", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(8 * MB);
  await utimes(path, new Date(), new Date(Date.now() + 60_000));
  // Chromium lets nobody read a file that was touched.
  await expect(page.getByRole("list", { name: "Failed uploads" })).toContainText("If its content is the same, the upload resumes.");
  const [before] = await server.uploads();
  const sent = network.sent;
  network.rate = Infinity;
  await library.choose(path);
  await expect(library.complete).toBeVisible();
  const [file] = await server.files();
  expect(file?._id).toBe(before?._id);
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  expect(network.sent - sent).toBeLessThan(30 * MB - 8 * MB + 4 * MB);
});

test("a file whose content changed between the samples starts over instead of being mixed", async ({ library, page, server, network, folder }) => {
  network.rate = 6 * MB;
  const path = join(folder, "film.mp4");
  await sample(path, 30 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(8 * MB);
  const other = await open(path, "r+");
  await other.write(Buffer.from("other bytes"), 0, 11, 2 * MB);
  await other.close();
  const sha256 = createHash("sha256").update(await readFile(path)).digest("hex");
  await expect(page.getByRole("list", { name: "Failed uploads" })).toContainText("Choose it again.");
  network.rate = Infinity;
  await library.choose(path);
  await expect(library.complete).toBeVisible({ timeout: 60_000 });
  const files = await server.files();
  expect(files).toHaveLength(1);
  expect(await server.sha256(files[0]?._id ?? "")).toBe(sha256);
  expect(await server.uploads()).toEqual([]);
});

for (const type of ["video/webm", "video/webm;codecs=vp8,opus", ""]) {
  test(`a recording of unknown length is uploaded as ${type || "the recorder's own choice"}`, async ({ library, page, server }) => {
    const recorded = await library.page.evaluate(async (type) => {
      const { Upload } = (await import(new URL("widget/lading.js", document.baseURI).href)) as typeof import("../src/index.js");
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("2d");
      const stream = canvas.captureStream(30);
      const recorder = new MediaRecorder(stream, { ...(type ? { mimeType: type } : {}), videoBitsPerSecond: 8e6 });
      const parts = new ReadableStream<Uint8Array>({
        start(controller) {
          recorder.ondataavailable = async ({ data }) => {
            if (data.size > 0) controller.enqueue(new Uint8Array(await data.arrayBuffer()));
            if (recorder.state === "inactive") controller.close();
          };
        },
      });
      let frames = 0;
      const draw = () => {
        if (context) {
          context.fillStyle = `hsl(${frames * 7} 80% 50%)`;
          context.fillRect(0, 0, 300, 150);
        }
        if (++frames < 60) requestAnimationFrame(draw);
        else recorder.stop();
      };
      recorder.start(100);
      draw();
      // The type is passed on as the recorder says it, with its codecs.
      await new Upload(parts, { name: "recording.webm", type: type || recorder.mimeType }).start();
      return recorder.mimeType;
    }, type);
    expect(recorded).toMatch(/^video\/.*;codecs=/);
    const [file] = await server.files();
    expect(file?.name).toBe("recording.webm");
    expect(file?.size).toBeGreaterThan(1000);
    await page.reload();
    const dialog = await library.open("recording.webm");
    const video = dialog.locator("video");
    await expect.poll(() => video.evaluate((element: HTMLVideoElement) => element.readyState)).toBeGreaterThan(0);
  });
}

test.describe("with users", () => {
  const secret = "a secret of the tests, of more than 256 bits";
  test.use({ settings: { LADING_AUTH: "jwt", LADING_JWT_SECRET: secret, LADING_JWT_AUDIENCE: "lading" } });

  function tokenFor(seconds: number): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ann", aud: "lading", exp })}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  }

  test("a token that expires during an upload is replaced", async ({ page, server, network }) => {
    server.token = tokenFor(600);
    network.rate = 4 * MB;
    let asked = 0;
    await page.exposeFunction("freshToken", () => {
      asked += 1;
      return tokenFor(3);
    });
    // An empty page of the server's origin.
    await page.goto(`${network.url}/livez`);
    const name = await page.evaluate(async () => {
      const { Upload } = (await import(new URL("widget/lading.js", document.baseURI).href)) as typeof import("../src/index.js");
      const { freshToken } = window as unknown as { freshToken: () => Promise<string> };
      const file = new File([new Uint8Array(16_000_000).fill(7)], "long.bin");
      return (await new Upload(file, { token: freshToken }).start()).name;
    });
    expect(name).toBe("long.bin");
    expect(network.upgrades).toBeGreaterThan(0);
    expect(asked).toBeGreaterThan(1);
    expect((await server.files()).map(({ size }) => size)).toEqual([16_000_000]);
  });

  test("the page asks a user to sign in, and again when the token expired", async ({ page, server, network }) => {
    server.token = tokenFor(600);
    await page.goto(network.url);
    await page.getByLabel("Token").fill("not a token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert").last()).toContainText("Sign in again");
    await page.getByLabel("Token").fill(tokenFor(5));
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByText("ann", { exact: true })).toBeVisible();
    await expect(async () => {
      // The page that asks for a token has no search any more; it may have come a moment late.
      const search = page.getByLabel("Search by name");
      if (await search.isVisible()) await search.fill(String(Math.random()), { timeout: 500 });
      await expect(page.getByLabel("Token")).toBeVisible({ timeout: 500 });
    }).toPass();
    await page.getByLabel("Token").fill(tokenFor(600));
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page.getByLabel("Token")).toBeVisible();
  });

  test("a user whose token has no scope for grants can share what is their own", async ({ page, server, network }) => {
    server.token = tokenFor(600);
    const library = new LadingPage(page, server, network.url);
    await server.put("hello.txt", "hello", "text/plain");
    await library.enter();
    const dialog = await library.open("hello.txt");
    await dialog.getByRole("button", { name: "Share" }).click();
    await page.getByRole("button", { name: "Make a link" }).click();
    await expect(page.getByRole("textbox", { name: "The link" })).toHaveValue(/\/s\/lg_/);
  });
});

test("the page works where the browser lets it store nothing", async ({ page, library, server, network, folder }) => {
  await page.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"]) {
      Object.defineProperty(window, name, {
        get() {
          throw new DOMException("The user denied storage.", "SecurityError");
        },
      });
    }
  });
  network.rate = 6 * MB;
  await library.enter();
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 12 * MB);
  await library.choose(path);
  await expect.poll(() => server.stored()).toBeGreaterThan(4 * MB);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await library.choose(path);
  await expect(library.complete).toBeVisible();
  const [file] = await server.files();
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
});

test("the page works from another machine without TLS, where browsers allow less", async ({ library, page, server, folder }) => {
  const lan = library.at("lan.example");
  await lan.enter();
  expect(await page.evaluate(() => [isSecureContext, "subtle" in crypto])).toEqual([false, false]);
  const path = join(folder, "film.mp4");
  const sha256 = await sample(path, 5 * MB);
  await lan.choose(path);
  await expect(lan.complete).toBeVisible();
  const [file] = await server.files();
  expect(await server.sha256(file?._id ?? "")).toBe(sha256);
  const dialog = await lan.open("film.mp4");
  await dialog.getByRole("button", { name: "Share" }).click();
  const sharing = page.getByRole("dialog", { name: "Share film.mp4" });
  await sharing.getByRole("button", { name: "Make a link" }).click();
  await expect(sharing.getByText("Copy it from here.")).toBeVisible();
  await expect(sharing.getByRole("textbox", { name: "The link" })).toHaveValue(/^http:\/\/lan\.example:\d+\/s\/lg_/);
  await sharing.getByRole("button", { name: "Close" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog", { name: "Delete this file?" }).getByRole("button", { name: "Delete" }).click();
  await expect.poll(() => server.files()).toEqual([]);
});

test("the token leaves the address bar, and scripts cannot read it", async ({ library, page, context, server, network }) => {
  expect(page.url()).toBe(`${network.url}/`);
  const [cookie] = await context.cookies();
  expect(cookie).toMatchObject({ name: "lading_token", value: server.token, httpOnly: true, sameSite: "Strict" });
  expect(await page.evaluate(() => document.cookie)).toBe("");
  await page.goto(`${network.url}/?token=wrong`);
  await expect(library.page.getByRole("heading", { name: "Library" })).toBeVisible(); // signed in already
  await context.clearCookies();
  await page.goto(`${network.url}/?token=wrong`);
  await expect(page.getByText("The token in the address is not valid")).toBeVisible();
});
