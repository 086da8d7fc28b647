/** Firefox and WebKit: sign in, upload 50 MB over a network that is cut, play, share. */

import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BROWSERS, button, containing, type Driven, field, until } from "./drivers.js";
import { film } from "./films.js";
import { expect, test } from "./world.js";

const PASSWORD = "correct horse";
const SIZE = 50_000_000;

/** What a player that stands still is in. */
const STATE = `(({ currentTime, duration, paused, ended, seeking, readyState, networkState, error, currentSrc }) =>
  JSON.stringify({ currentTime, duration, paused, ended, seeking, readyState, networkState, error: error && error.message, currentSrc }))(
  document.querySelector('video'))`;

test.use({ settings: { LADING_AUTH: "accounts" } });

for (const [name, { path, start }] of Object.entries(BROWSERS)) {
  test(`${name} signs in, uploads through a cut network, plays and shares`, async ({ server, network, folder }) => {
    // A developer's machine need not have them. CI has, and fails without.
    test.skip(path === undefined && !process.env["CI"], `${name} is not installed`);
    const data = randomBytes(SIZE);
    await writeFile(join(folder, "large.bin"), data);
    await film(folder, "film.webm", 4, "300k");
    await server.ask("/v1/users", { method: "POST", body: JSON.stringify({ name: "ann", password: PASSWORD }) });
    const browser: Driven = await start();
    try {
      await browser.open(network.url);
      await browser.type(field("Name"), "ann");
      await browser.type(field("Password"), PASSWORD);
      await browser.click(button("Sign in"));
      await browser.text(containing("h2", "Library"));

      // -- 50 MB, with a network that is away for a while
      network.allow(15_000_000);
      await browser.choose(field("Files to upload"), join(folder, "large.bin"));
      const stored = async () => ((await (await server.ask("/v1/uploads?user_id=ann")).json()) as { uploads: { upload_size: number }[] }).uploads[0]?.upload_size;
      await until("some stored bytes", async () => ((await stored()) ?? 0) > 5_000_000);
      network.cut();
      network.allow(Infinity);
      network.mend();
      await browser.text(containing("h2", "1 file uploaded"));
      expect(network.upgrades, "it connected again").toBeGreaterThan(1);
      expect(network.sent).toBeLessThan(1.5 * SIZE);
      const [file] = ((await (await server.ask("/v1/files?user_id=ann")).json()) as { files: { _id: string; size: number }[] }).files;
      expect(file?.size).toBe(SIZE);
      expect(await server.sha256(file!._id)).toBe(createHash("sha256").update(data).digest("hex"));

      // -- a film
      await browser.choose(field("Files to upload"), join(folder, "film.webm"));
      await browser.click(containing("*[@class='card-open']", "film.webm"));
      await browser.text("//video");
      expect(await browser.value("document.querySelector('video').play().then(() => 'it plays')")).toBe("it plays");
      await until("a film that moves", () => browser.value<boolean>("document.querySelector('video').currentTime > 0.5"), 30_000, () => browser.value(STATE));

      // -- for somebody without an account
      await browser.click(button("Share"));
      await browser.click(button("Make a link"));
      await browser.text(field("The link"));
      const link = await browser.value<string>("document.querySelector('[aria-label=\"The link\"]').value");
      expect((await fetch(`${link}/download`)).headers.get("content-type")).toContain("video/webm");
      await browser.open(link);
      await browser.text(containing("h1", "film.webm"));
      await until("a film with a length", () => browser.value<boolean>("document.querySelector('video').duration > 3"));
    } finally {
      await browser.close();
    }
  });
}
