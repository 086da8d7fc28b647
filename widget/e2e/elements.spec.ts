/** `<lading-upload>` and the hook for React, each in a page of a site that has a token. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { expect, test as base } from "@playwright/test";
import { build, type Rolldown } from "vite";
import { sound } from "./axe.js";
import { Server } from "./server.js";

const WIDGET = resolve(import.meta.dirname, "..");
const ELEMENT = `<lading-upload multiple></lading-upload><p></p>`;
/** A page may be as strict as this. */
const POLICY = "style-src 'self'; base-uri 'none'; form-action 'none'";

/** React's example, bundled as a site does it. */
async function bundled(url: string, token: string): Promise<string> {
  const entry = `
    import { createElement } from "react";
    import { createRoot } from "react-dom/client";
    import { Uploader } from "${WIDGET}/examples/use-upload.tsx";
    createRoot(document.getElementById("app")).render(createElement(Uploader));`;
  const source = (name: string): string => resolve(WIDGET, `src/${name}.ts`);
  const result = (await build({
    configFile: false,
    logLevel: "silent",
    root: WIDGET,
    define: { "process.env.NODE_ENV": '"production"' },
    resolve: { alias: [{ find: /^lading\/react$/, replacement: source("react") }] },
    build: { write: false, minify: false, rolldownOptions: { input: "virtual:entry" } },
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "virtual:entry" ? `\0${id}` : undefined),
        load: (id) => (id === "\0virtual:entry" ? entry : undefined),
        // The example has the defaults of a page of the server's own; this one is another site's.
        transform: (code, id) =>
          id.endsWith("use-upload.tsx")
            ? code.replace("useUpload(file)", `useUpload(file, ${JSON.stringify({ url, token })})`)
            : undefined,
      },
    ],
  })) as Rolldown.RolldownOutput;
  return result.output[0].code;
}

const test = base.extend<{ site: string; server: Server; body: { html: string; script: string } }>({
  body: async ({}, use) => use({ html: "", script: "" }),
  site: async ({ body }, use) => {
    const listener = createServer((request, answer) => {
      const isScript = request.url === "/site.js";
      answer.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      answer.setHeader("Content-Security-Policy", POLICY);
      const page = `<!doctype html><html lang="en"><title>A site</title><main><h1>A site</h1>${body.html}</main><script type="module" src="site.js"></script></html>`;
      answer.end(isScript ? body.script : page);
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    await use(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    listener.close();
    listener.closeAllConnections();
  },
  server: async ({ site }, use) => {
    const server = await Server.start({ LADING_ALLOWED_ORIGINS: site });
    await use(server);
    await server.stop();
  },
});

const file = (name: string, text: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });

test("the element and the hook upload what is chosen", async ({ page, site, server, body }) => {
  const strays: string[] = [];
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) strays.push(message.text());
  });
  body.html = ELEMENT;
  body.script = `
    import "${server.url}/widget/lading-upload.js";
    const element = document.querySelector("lading-upload");
    element.setAttribute("url", ${JSON.stringify(server.url)});
    element.token = () => ${JSON.stringify(server.token)};
    const ids = [];
    document.addEventListener("lading-done", ({ detail }) => {
      ids.push(detail.id);
      document.querySelector("p").textContent = ids.join(" ");
    });`;
  await page.goto(site);
  const input = page.getByLabel("Choose files, or drop them here");
  await input.setInputFiles([file("one.txt", "1"), file("two.txt", "22")]);
  await expect(page.getByText("2 of 2 files stored")).toBeVisible();
  const ids = (await server.files()).map(({ _id }) => _id);
  expect((await page.locator("main > p").innerText()).split(" ").sort()).toEqual(ids.sort());
  await sound(page, "the element");
  // By keyboard, and what is there already is not sent again.
  await page.reload();
  await page.keyboard.press("Tab");
  await expect(page.locator("lading-upload")).toBeFocused();
  await input.setInputFiles([file("one.txt", "1")]);
  await expect(page.getByText("1 of 1 file stored, already there")).toBeVisible();
  expect((await server.files()).length).toBe(2);
  // A failure is said, and can be tried again.
  await server.ask("/v1/users/admin/quota", { method: "PUT", body: '{"quota": 3}' });
  await input.setInputFiles([file("three.txt", "333")]);
  await expect(page.getByText(/^three\.txt: Your quota has not enough space/)).toBeVisible();
  await sound(page, "a failure");
  await server.ask("/v1/users/admin/quota", { method: "PUT", body: '{"quota": null}' });
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("2 of 2 files stored, 1 already there")).toBeVisible();

  body.html = '<div id="app"></div>';
  body.script = await bundled(server.url, server.token);
  await page.goto(site);
  await page.getByLabel("File").setInputFiles([file("four.txt", "4444")]);
  await expect(page.getByText(`Stored at ${server.url}/v1/files/`)).toBeVisible();
  await sound(page, "the hook");
  expect((await server.files()).map(({ name }) => name).sort()).toEqual(["four.txt", "one.txt", "three.txt", "two.txt"]);
  expect(strays).toEqual([]);
});
