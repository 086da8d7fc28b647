/** Pages of other sites: what they can do with their own token, and that they cannot use the page's cookie. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test as base } from "@playwright/test";
import { Server } from "./server.js";

const test = base.extend<{ site: string; server: Server }>({
  // Another port of the same machine is another origin but the same site, so browsers send the cookie.
  site: async ({}, use) => {
    const listener = createServer((_request, answer) => {
      answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>A site</title>");
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

test("a site's page imports the browser client and uploads with a token", async ({ page, site, server }) => {
  await page.goto(`${server.url}/?token=${server.token}`);
  await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
  await page.goto(site);
  const upload = (token?: string) =>
    page.evaluate(async ({ url, token }) => {
      const { Upload } = (await import(`${url}/widget/lading.js`)) as typeof import("../src/index.js");
      const run = new Upload(new File(["hello"], "from-a-site.txt"), { url, token }).start();
      return run.then(({ name }) => name, (error: { code: string }) => error.code);
    }, { url: server.url, token });
  expect(await upload()).toBe("unauthorized");
  expect(await server.files()).toEqual([]);
  expect(await upload(server.token)).toBe("from-a-site.txt");
  expect((await server.files()).map(({ size }) => size)).toEqual([5]);
});

test("a page of the same site cannot change anything with the cookie", async ({ page, context, site, server }) => {
  await server.put("kept.txt", "1");
  await page.goto(`${server.url}/?token=${server.token}`);
  await expect(page.locator(".card")).toHaveCount(1);
  await page.goto(site);
  const asked = page.waitForRequest((request) => request.isNavigationRequest() && request.method() === "POST");
  await page.evaluate(async (url) => {
    const options = { mode: "no-cors", credentials: "include", method: "POST", body: "x" } as const;
    // The browser hides the response from the page, which sees an error.
    await fetch(`${url}/v1/files?name=planted.txt`, options).catch(() => undefined);
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${url}/v1/files?name=planted.txt`;
    document.body.append(form);
    form.submit();
  }, server.url);
  const answer = await (await asked).response();
  expect([answer?.status(), (await (await asked).allHeaders())["cookie"]]).toEqual([401, `lading_token=${server.token}`]);
  expect((await context.cookies()).map(({ name }) => name)).toEqual(["lading_token"]);
  // In another page: the response to the form may still load in the first one.
  const other = await context.newPage();
  const closed = await other.goto(site).then(() =>
    other.evaluate((url) => new Promise<string>((done) => {
      const socket = new WebSocket(`${url.replace("http", "ws")}/v1/ws`, "lading.v1");
      // HELLO without a token, in msgpack.
      socket.onopen = () => socket.send(new Uint8Array([0x92, 0x01, 0x80]));
      socket.onclose = ({ code }) => done(String(code));
    }), server.url));
  expect(closed).toBe("4401");
  expect((await server.files()).map(({ name }) => name)).toEqual(["kept.txt"]);
});
