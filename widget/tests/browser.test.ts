/** The client in a real Chromium, on a page of another site, under ever stricter policies. */

import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { type Browser, chromium, type Page } from "@playwright/test";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Upload } from "../src/index.js";
import { lacking as noServer, Server } from "./support/server.js";
import { someBytes } from "./support/helpers.js";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const lacking = noServer ?? (existsSync(CHROMIUM) ? undefined : `${CHROMIUM} is missing`);

const SIZE = 3_000_077;
const LONGER_THAN_A_WINDOW = 24 * 1024 * 1024;

const HTML = `<!doctype html><input type="file"><script type="module" src="page.js"></script>`;
const PAGE = `import { Upload } from "/lading.js"; Object.assign(window, { Upload });`;

interface Global {
  Upload: typeof Upload;
  upload: Upload;
}

let folder: string;
let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  if (lacking !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "lading-widget-"));
  await writeFile(join(folder, "film.mp4"), someBytes(SIZE));
  const root = fileURLToPath(new URL("..", import.meta.url));
  await build({
    root,
    mode: "widget",
    logLevel: "error",
    configFile: join(root, "vite.config.ts"),
    build: { outDir: join(folder, "widget") },
  });
  site = await Site.start(join(folder, "widget"));
  server = await Server.start({ LADING_ALLOWED_ORIGINS: site.origin });
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"];
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** A site with one page, the client beside it, and a policy. */
class Site {
  policy = "";

  private constructor(private readonly http: HttpServer) {}

  static async start(widget: string): Promise<Site> {
    const http = createServer((request, response) => {
      if (site.policy !== "") response.setHeader("Content-Security-Policy", site.policy);
      if (request.url === "/") {
        response.setHeader("Content-Type", "text/html");
        return void response.end(HTML);
      }
      response.setHeader("Content-Type", "text/javascript");
      if (request.url === "/page.js") return void response.end(PAGE);
      readFile(join(widget, request.url!)).then(
        (data) => response.end(data),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new Site(http);
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.http.closeAllConnections();
    this.http.close();
  }
}

/** What became of an upload, and how it was done. */
interface Result {
  readonly id?: string;
  readonly code?: string;
  readonly size?: number;
  readonly requests: string[];
  readonly heap: number;
}

/** A page of the site, with a file chosen. */
async function pageWith(policy: string, path: string): Promise<Page> {
  site.policy = policy;
  const page = await browser.newPage();
  await page.goto(site.origin);
  await page.setInputFiles("input", path);
  return page;
}

/** Upload the chosen file; `pauses`: until the test resumes it. */
function uploading(page: Page, name: string, pauses = false): Promise<Result> {
  const given = { url: server.url, token: server.token, name };
  return page.evaluate(
    async ([options, pauses]) => {
      const { Upload } = window as unknown as Global;
      const memory = (performance as unknown as { memory: { usedJSHeapSize: number } }).memory;
      const before = memory.usedJSHeapSize;
      let heap = 0;
      const upload = new Upload(document.querySelector("input")!.files![0]!, options);
      Object.assign(window, { upload });
      const stop = upload.on("opened", () => {
        if (pauses) upload.pause();
        stop();
      });
      upload.on("progress", () => (heap = Math.max(heap, memory.usedJSHeapSize - before)));
      const reported = await upload.start().catch(({ code }: { code: string }) => ({ code }));
      const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
      return { ...reported, requests, heap };
    },
    [given, pauses] as const,
  );
}

function stateOf(page: Page): Promise<string> {
  return page.evaluate(() => (window as unknown as Global).upload?.state);
}

function policy(allowed: { ws?: boolean; wasm?: boolean; worker?: boolean }): string {
  const { ws = true, wasm = true, worker = true } = allowed;
  return [
    "default-src 'none'",
    `connect-src ${server.url}${ws ? ` ${server.url.replace("http", "ws")}` : ""}`,
    `script-src 'self'${wasm ? " 'wasm-unsafe-eval'" : ""}`,
    `worker-src ${worker ? "'self'" : "'none'"}`,
  ].join("; ");
}

describe.skipIf(lacking)(`a real browser${lacking ? ` (${lacking})` : ""}`, () => {
  test.each([
    ["all that it wants", {}],
    ["no worker", { worker: false }],
    ["no WebAssembly", { wasm: false }],
    ["neither", { worker: false, wasm: false }],
    ["no WebSocket", { ws: false }],
  ])("allowed %s uploads every byte", async (name, allowed) => {
    const page = await pageWith(policy(allowed), join(folder, "film.mp4"));
    const { id, size, requests } = await uploading(page, name);
    expect(size).toBe(SIZE);
    const stored = await server.request("GET", `/v1/files/${id}`);
    const same = Buffer.from(await stored.arrayBuffer()).equals(someBytes(SIZE));
    expect(same).toBe(true);
    const pieces = requests.filter((each) => each.includes("/chunks/"));
    expect(pieces.length > 0).toBe("ws" in allowed);
    const worker = requests.some((each) => each.endsWith("/crc32c.worker.js"));
    if (!("worker" in allowed)) expect(worker).toBe(true);
    await page.close();
  });

  test("its memory stays flat", async () => {
    const large = join(folder, "large.bin");
    await writeFile(large, someBytes(64 * 1024 * 1024));
    const page = await pageWith(policy({}), large);
    const { heap } = await uploading(page, "large");
    expect(heap).toBeLessThan(16 * 1024 * 1024);
    await page.close();
  });

  test("a file that changes during the upload is reported", async () => {
    const path = join(folder, "changing.bin");
    await writeFile(path, someBytes(SIZE));
    const page = await pageWith(policy({}), path);
    const end = uploading(page, "changing", true);
    await vi.waitFor(async () => expect(await stateOf(page)).toBe("paused"), { timeout: 10_000 });
    await writeFile(path, someBytes(SIZE + 1));
    await page.evaluate(() => (window as unknown as Global).upload.resume());
    expect((await end).code).toBe("source-changed");
    await page.close();
  });

  test("a file that changes while one stream of it is read is reported, too", async () => {
    const path = join(folder, "changing.bin");
    await writeFile(path, someBytes(LONGER_THAN_A_WINDOW));
    const page = await pageWith(policy({}), path);
    await page.exposeFunction("change", () => appendFile(path, "more"));
    await page.evaluate(() => {
      const { send } = WebSocket.prototype;
      let [count, before] = [0, Promise.resolve()];
      WebSocket.prototype.send = function (data) {
        const message = (data as Uint8Array<ArrayBuffer>).slice();
        if (++count === 5) before = before.then(() => (window as unknown as { change(): Promise<void> }).change());
        before = before.then(() => send.call(this, message));
      };
    });
    expect((await uploading(page, "changing in the middle")).code).toBe("source-changed");
    await page.close();
  });
});
