/**
 * The fixtures of the tests of the page: an empty server, a proxy in front of it, a browser on the page.
 * A test fails when the page sends a request to another host, or violates its own policy.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect, type Locator, type Page } from "@playwright/test";
import { Proxy } from "./proxy.js";
import { Server, type Settings } from "./server.js";

/** Names of this machine. Browsers do not trust the second one without TLS. */
const OURS = ["127.0.0.1", "lan.example"];

interface World {
  settings: Settings;
  server: Server;
  network: Proxy;
  folder: string;
  library: LadingPage;
}

/**
 * The servers of the last tests, since starting one takes seconds. A test whose settings one of them has gets that one,
 * emptied. More than two would take memory for nothing: one with the usual settings, and one with others.
 */
class Servers {
  private readonly kept = new Map<string, Server>();

  async with(settings: Settings): Promise<Server> {
    const wanted = JSON.stringify(settings);
    let server = this.kept.get(wanted);
    if (server && !(await server.emptied())) {
      await this.stop(wanted);
      server = undefined;
    }
    const [oldest] = this.kept.keys();
    if (!server && oldest !== undefined && this.kept.size > 1) await this.stop(oldest);
    server ??= await Server.start(settings);
    this.kept.delete(wanted);
    this.kept.set(wanted, server); // the latest is the last
    return server;
  }

  async end(): Promise<void> {
    for (const settings of [...this.kept.keys()]) await this.stop(settings);
  }

  private async stop(settings: string): Promise<void> {
    await this.kept.get(settings)?.stop();
    this.kept.delete(settings);
  }
}

export const test = base.extend<World, { servers: Servers }>({
  servers: [
    async ({}, use) => {
      const servers = new Servers();
      await use(servers);
      await servers.end();
    },
    { scope: "worker" },
  ],
  settings: [{}, { option: true }],
  server: async ({ settings, servers }, use) => use(await servers.with(settings)),
  network: async ({ server }, use) => {
    const network = await Proxy.before(server.port);
    await use(network);
    await network.close();
  },
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "lading-e2e-"));
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
  page: async ({ page }, use) => {
    const strays: string[] = [];
    page.on("console", (message) => {
      if (/Content.Security.Policy/i.test(message.text())) strays.push(message.text());
    });
    page.on("pageerror", (error) => strays.push(String(error)));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (/^(http|ws)/.test(url.protocol) && !OURS.includes(url.hostname)) strays.push(request.url());
    });
    await use(page);
    expect(strays).toEqual([]);
  },
  library: async ({ page, server, network }, use) => {
    const library = new LadingPage(page, server, network.url);
    await library.enter();
    await use(library);
  },
});

export { expect };

/** Choose files, as in the file dialog of Uppy's Dashboard. */
export async function chooseInDashboard(page: Page, ...paths: string[]): Promise<void> {
  const more = page.getByRole("button", { name: "Add more files" });
  const empty = page.getByText("Drop files here, or");
  await expect(more.or(empty).first()).toBeVisible();
  if (!(await empty.isVisible())) await more.click();
  await page.locator("input.uppy-Dashboard-input[multiple]").first().setInputFiles(paths);
}

/** The page as a user sees it. */
export class LadingPage {
  readonly status: Locator;

  constructor(readonly page: Page, private readonly server: Server, private readonly url: string) {
    this.status = page.locator(".queue");
  }

  async enter(): Promise<void> {
    await this.page.goto(`${this.url}/?token=${this.server.token}`);
    await expect(this.page.getByRole("heading", { name: "Library" })).toBeVisible();
  }

  /** The same server under another name. */
  at(name: string): LadingPage {
    return new LadingPage(this.page, this.server, this.url.replace("127.0.0.1", name));
  }

  /** The same page in another tab. */
  in(page: Page): LadingPage {
    return new LadingPage(page, this.server, this.url);
  }

  /** Choose files, as in the file dialog. */
  async choose(...paths: string[]): Promise<void> {
    await this.page.getByLabel("Files to upload").setInputFiles(paths);
  }

  /** Everything is uploaded, and nothing failed. */
  get complete(): Locator {
    return this.status.getByRole("heading", { name: /^[\d,]+ files? uploaded$/ });
  }

  card(name: string): Locator {
    return this.page.locator(".card-open").filter({ hasText: name });
  }

  async open(name: string): Promise<Locator> {
    await this.card(name).click();
    const dialog = this.page.getByRole("dialog", { name });
    await expect(dialog).toBeVisible();
    return dialog;
  }
}
