/**
 * Uploads a file from a page of a Lading server, in a real Chromium: node browser.mjs
 *
 * Takes `{"url", "token", "path", "chromium"}` on standard input and prints
 * `{"seconds", "heap_growth", "longest_task", "cpu_seconds"}`: bytes, seconds, and the CPU time of all
 * processes of Chromium. Owns the browser and what is read of it. Refuses to know the server.
 *
 * The page is the server's own, with its policy; it imports the client that the server serves, which
 * starts its worker. The clock runs from `start()` to the finished file.
 */

import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "../../widget/node_modules/playwright-core/index.mjs";

/** As for the page's tests: nothing of Chromium's own goes to the network. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SAMPLE_MILLISECONDS = 100;

/** The JavaScript heaps of a page's main thread and of its workers, with the bytes of array buffers. */
class Heaps {
  static async of(page) {
    const heaps = new Heaps(await page.context().newCDPSession(page));
    // Workers are asked through the page's session: Playwright gives no session for one.
    await heaps.session.send("Target.setAutoAttach", {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: false,
    });
    return heaps;
  }

  constructor(session) {
    this.session = session;
    this.workers = new Set();
    this.asked = new Map();
    this.questions = 0;
    session.on("Target.attachedToTarget", ({ sessionId }) => this.workers.add(sessionId));
    session.on("Target.detachedFromTarget", ({ sessionId }) => this.detached(sessionId));
    session.on("Target.receivedMessageFromTarget", ({ message }) => this.answered(JSON.parse(message)));
  }

  /** Bytes in use now, of garbage too. */
  async used() {
    const own = this.session.send("Runtime.getHeapUsage");
    const others = [...this.workers].map((worker) => this.ask(worker, "Runtime.getHeapUsage"));
    const found = await Promise.all([own, ...others]);
    return found.reduce((sum, usage) => sum + bytes(usage), 0);
  }

  /** Bytes in use by the main thread when its garbage is gone. */
  async settled() {
    await this.session.send("HeapProfiler.collectGarbage");
    return this.used();
  }

  ask(worker, method) {
    const id = ++this.questions;
    return new Promise((resolve) => {
      this.asked.set(id, { worker, resolve });
      const message = JSON.stringify({ id, method });
      // A worker that ended meanwhile has no heap.
      this.session.send("Target.sendMessageToTarget", { sessionId: worker, message }).catch(() => resolve({}));
    });
  }

  answered({ id, result = {} }) {
    this.asked.get(id)?.resolve(result);
    this.asked.delete(id);
  }

  detached(gone) {
    this.workers.delete(gone);
    for (const { worker, resolve } of this.asked.values()) if (worker === gone) resolve({});
  }
}

function bytes({ usedSize = 0, backingStorageSize = 0 }) {
  return usedSize + backingStorageSize;
}

/** The page with a file chosen and the client loaded, before anything is sent. */
async function prepare(page, { url, token, path }) {
  await page.goto(`${url}/?token=${token}`);
  await page.getByRole("heading", { name: "Library" }).waitFor();
  await page.evaluate(async () => {
    const input = Object.assign(document.createElement("input"), { type: "file", id: "bench" });
    document.body.append(input);
    globalThis.lading = await import("/widget/lading.js");
  });
  await page.locator("#bench").setInputFiles(path);
}

/** Runs in the page. Tasks that are shorter than 50 ms are not told of: 0.05 stands for them. */
async function upload() {
  let longest = 50;
  const look = (entries) => entries.forEach(({ duration }) => (longest = Math.max(longest, duration)));
  const observer = new PerformanceObserver((list) => look(list.getEntries()));
  observer.observe({ type: "longtask" });
  const [file] = document.getElementById("bench").files;
  const begin = performance.now();
  const stored = await new globalThis.lading.Upload(file).start();
  const seconds = (performance.now() - begin) / 1000;
  if (stored.size !== file.size) throw new Error(`${stored.size} bytes were stored`);
  await new Promise((resolve) => setTimeout(resolve)); // the last task is told of when it is over
  look(observer.takeRecords());
  observer.disconnect();
  return { seconds, longest_task: longest / 1000 };
}

async function cpuSeconds(system) {
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

async function measure(browser, job) {
  const page = await browser.newPage();
  const system = await browser.newBrowserCDPSession();
  await prepare(page, job);
  const heaps = await Heaps.of(page);
  const [used, before] = [await cpuSeconds(system), await heaps.settled()];
  let [most, over] = [before, false];
  const running = page.evaluate(upload).finally(() => (over = true));
  const sampling = (async () => {
    for (; !over; await pause(SAMPLE_MILLISECONDS)) most = Math.max(most, await heaps.used());
  })();
  const [told] = await Promise.all([running, sampling]);
  const cpu_seconds = (await cpuSeconds(system)) - used;
  const after = await heaps.settled();
  return { ...told, heap_growth: most - before, heap_kept: after - before, cpu_seconds };
}

const job = await json(process.stdin);
const browser = await chromium.launch({ executablePath: job.chromium, args: FLAGS });
try {
  process.stdout.write(JSON.stringify(await measure(browser, job)));
} finally {
  await browser.close();
}
