/** Firefox and WebKit, each by what drives it here, with the few things that a test does in them. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import puppeteer, { type Browser as Firefox, type ElementHandle, type Page } from "puppeteer-core";
import { Builder, By, error, type WebDriver, type WebElement } from "selenium-webdriver";

const PATIENCE = 30_000;

export const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find(existsSync);
export const WEBKIT = ["4.1", "4.0", "6.0"]
  .map((version) => `/usr/lib/x86_64-linux-gnu/webkit2gtk-${version}/MiniBrowser`)
  .find(existsSync);

/** A browser with one page. Elements are named by XPath, and waited for; what is clicked or typed into, until it is seen. */
export interface Driven {
  open(url: string): Promise<void>;
  click(path: string): Promise<void>;
  type(path: string, text: string): Promise<void>;
  /** Choose a file in an input, as in the file dialog. */
  choose(path: string, file: string): Promise<void>;
  /** The text of an element, once it is there. */
  text(path: string): Promise<string>;
  /** The value of an expression in the page. */
  value<T>(expression: string): Promise<T>;
  close(): Promise<void>;
}

/** Ask again until there is an answer. `state` says what there is instead, where none comes. */
export async function until<T>(
  what: string, ask: () => Promise<T | null | undefined | false>, patience = PATIENCE, state = () => Promise.resolve(""),
): Promise<T> {
  for (const end = Date.now() + patience; ; await pause(100)) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it did not come: ${what} ${await state()}`.trim());
  }
}

/** A button or a link with this name. */
export const button = (name: string) =>
  `//*[self::button or self::a or self::summary][normalize-space()="${name}" or @aria-label="${name}"]`;

/** The field that a label names. */
export const field = (label: string) =>
  `//*[@id=//label[normalize-space()="${label}"]/@for] | //input[@aria-label="${label}"]`;

export const containing = (tag: string, text: string) => `//${tag}[contains(normalize-space(), "${text}")]`;

// -- Firefox, over WebDriver BiDi

class DrivenFirefox implements Driven {
  constructor(private readonly browser: Firefox, private readonly page: Page) {}

  static async start(): Promise<Driven> {
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: FIREFOX!,
      headless: true,
      extraPrefsFirefox: { "media.autoplay.default": 0, "intl.accept_languages": "en-GB" },
    });
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    return new DrivenFirefox(browser, page);
  }

  private async find(path: string): Promise<ElementHandle<Element>> {
    return until(path, () => this.page.$(`::-p-xpath(${path})`));
  }

  async open(url: string): Promise<void> {
    await this.page.goto(url);
  }

  async click(path: string): Promise<void> {
    await this.page.locator(`::-p-xpath(${path})`).click();
  }

  async type(path: string, text: string): Promise<void> {
    await (await this.page.waitForSelector(`::-p-xpath(${path})`, { visible: true }))!.type(text);
  }

  async choose(path: string, file: string): Promise<void> {
    await ((await this.find(path)) as ElementHandle<HTMLInputElement>).uploadFile(file);
  }

  async text(path: string): Promise<string> {
    return (await this.find(path)).evaluate((element) => element.textContent ?? "");
  }

  async value<T>(expression: string): Promise<T> {
    return (await this.page.evaluate(expression)) as T;
  }

  async close(): Promise<void> {
    await this.browser.close();
  }
}

// -- WebKit, over WebDriver, on a screen that nobody sees

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** It is not shown yet, something is before it, or it was drawn anew. */
const NOT_YET = [error.ElementNotInteractableError, error.ElementClickInterceptedError, error.StaleElementReferenceError];

class DrivenWebKit implements Driven {
  private constructor(
    private readonly driver: WebDriver,
    private readonly children: readonly ChildProcess[],
    private readonly home: string,
  ) {}

  static async start(): Promise<Driven> {
    const home = await mkdtemp(join(tmpdir(), "lading-webkit-"));
    const screen = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp"], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const display = await new Promise<string>((found) => screen.stdio[3]!.once("data", (data) => found(String(data).trim())));
    const port = await freePort();
    const env = {
      ...process.env,
      DISPLAY: `:${display}`,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      WEBKIT_DISABLE_COMPOSITING_MODE: "1",
      // Its sandbox needs rights that containers do not have.
      WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
      WEBKIT_FORCE_SANDBOX: "0",
    };
    const child = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { env, stdio: "ignore" });
    const children = [child, screen];
    try {
      await until("WebKitWebDriver", () => fetch(`http://127.0.0.1:${port}/status`).then((answer) => answer.ok, () => false));
      const driver = await new Builder()
        .usingServer(`http://127.0.0.1:${port}`)
        .withCapabilities({
          browserName: "MiniBrowser",
          "webkitgtk:browserOptions": { binary: WEBKIT!, args: ["--automation"] },
        })
        .build();
      return new DrivenWebKit(driver, children, home);
    } catch (failure) {
      for (const each of children) each.kill("SIGKILL");
      throw failure;
    }
  }

  private async find(path: string): Promise<WebElement> {
    return until(path, async () => (await this.driver.findElements(By.xpath(path)))[0]);
  }

  async open(url: string): Promise<void> {
    await this.driver.get(url);
  }

  /** Do it to an element as soon as it can be done. */
  private async act(path: string, deed: (element: WebElement) => Promise<void>): Promise<void> {
    await until(path, async () => {
      try {
        await deed(await this.find(path));
        return true;
      } catch (failure) {
        if (NOT_YET.some((kind) => failure instanceof kind)) return false;
        throw failure;
      }
    });
  }

  async click(path: string): Promise<void> {
    await this.act(path, (element) => element.click());
  }

  async type(path: string, text: string): Promise<void> {
    await this.act(path, (element) => element.sendKeys(text));
  }

  async choose(path: string, file: string): Promise<void> {
    await (await this.find(path)).sendKeys(file);
  }

  async text(path: string): Promise<string> {
    return this.driver.executeScript<string>("return arguments[0].textContent", await this.find(path));
  }

  async value<T>(expression: string): Promise<T> {
    return this.driver.executeAsyncScript<T>(
      `const done = arguments[0]; Promise.resolve(${expression}).then(done, (error) => done(String(error)));`,
    );
  }

  async close(): Promise<void> {
    await this.driver.quit().catch(() => undefined);
    for (const each of this.children) each.kill("SIGKILL");
    await rm(this.home, { recursive: true, force: true });
  }
}

export const BROWSERS: Readonly<Record<string, { path: string | undefined; start: () => Promise<Driven> }>> = {
  Firefox: { path: FIREFOX, start: () => DrivenFirefox.start() },
  WebKit: { path: WEBKIT, start: () => DrivenWebKit.start() },
};
