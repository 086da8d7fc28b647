/**
 * Uploads from a page in a real Chromium: node browser.mjs
 *
 * Takes `{"kind", "url", "token", "chromium"}` on standard input, and `path` for one file or `count` for so many
 * small ones; prints `{"seconds", "heap_growth", "heap_kept", "longest_task", "cpu_seconds", "resident"}`: bytes,
 * seconds, and the CPU time and memory of all processes of Chromium. Owns the browser and what is read of it. Refuses
 * to know the servers.
 *
 * The page is the server's own, with its policy: Lading's, whose client and worker it serves, or a plain one with
 * @uppy/tus. The clock runs from the start of the upload to the finished file or files.
 */

import { readFile } from "node:fs/promises";
import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import puppeteer from "../../widget/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js";

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
    const heaps = new Heaps(await page.createCDPSession());
    // Workers are asked through the page's session: others would need one each.
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

/** The page of a Lading server, signed in. */
async function openLibrary(page, { url, token }) {
  await page.goto(`${url}/?token=${token}`);
  await page.waitForSelector('::-p-aria([name="Library"][role="heading"])');
}

/** Choose the file, in an input that the page does not know. */
async function choose(page, { path }) {
  await page.evaluate(() => {
    document.body.append(Object.assign(document.createElement("input"), { type: "file", id: "bench" }));
  });
  await (await page.$("#bench")).uploadFile(path);
}

/** Runs in the page: notes the longest task from now on. Those under 50 ms are not told of: 50 stands for them. */
function watchTasks() {
  globalThis.longest = 50;
  const look = (entries) => entries.forEach(({ duration }) => (globalThis.longest = Math.max(globalThis.longest, duration)));
  const observer = new PerformanceObserver((list) => look(list.getEntries()));
  observer.observe({ type: "longtask" });
  globalThis.longestTask = async () => {
    await new Promise((resolve) => setTimeout(resolve)); // the last task is told of when it is over
    look(observer.takeRecords());
    return globalThis.longest / 1000;
  };
}

/** Runs in the page: one file by Lading's client. */
async function uploadByLading() {
  const [file] = document.getElementById("bench").files;
  const begin = performance.now();
  const stored = await new globalThis.lading.Upload(file).start();
  const seconds = (performance.now() - begin) / 1000;
  if (stored.size !== file.size) throw new Error(`${stored.size} bytes were stored`);
  return seconds;
}

/** Runs in the page: files by @uppy/tus with its defaults; those of the input, or so many of 2 kB. */
async function uploadByUppy(count) {
  const files = count === 0 ? [...document.getElementById("bench").files] : globalThis.smallFiles(count);
  const uppy = new globalThis.peer.Uppy().use(globalThis.peer.Tus, { endpoint: `${location.origin}/files` });
  const begin = performance.now();
  uppy.addFiles(files.map((data) => ({ name: data.name, type: data.type, data })));
  const { successful, failed } = await uppy.upload();
  const seconds = (performance.now() - begin) / 1000;
  if (failed.length || successful.length !== files.length) throw new Error(`${failed.length} failed`);
  return seconds;
}

/** Runs in the page: drops so many files of 2 kB on it; the time when it did. */
function drop(count) {
  const dropped = new DataTransfer();
  for (const file of globalThis.smallFiles(count)) dropped.items.add(file);
  const begin = performance.now();
  const event = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
  document.querySelector(".chooser").dispatchEvent(event);
  return begin;
}

/** Runs in the page: makes files of 2 kB, no two of them the same. */
function prepareSmallFiles() {
  globalThis.smallFiles = (count) =>
    Array.from({ length: count }, (_, each) => {
      const bytes = crypto.getRandomValues(new Uint8Array(2000));
      return new File([bytes], `${each}.bin`, { type: "application/octet-stream" });
    });
}

async function openPeer(page, { url }) {
  await page.goto(url);
  await page.evaluate(async () => {
    globalThis.peer = await import("/uppy.js");
  });
}

/** What each kind of job prepares, and what the clock is about. */
const KINDS = {
  lading: {
    async prepare(page, job) {
      await openLibrary(page, job);
      await choose(page, job);
      await page.evaluate(async () => {
        globalThis.lading = await import("/widget/lading.js");
      });
    },
    run: (page) => page.evaluate(uploadByLading),
  },
  uppy: {
    async prepare(page, job) {
      await openPeer(page, job);
      await choose(page, job);
    },
    run: (page) => page.evaluate(uploadByUppy, 0),
  },
  page: {
    async prepare(page, job) {
      await openLibrary(page, job);
      await page.evaluate(prepareSmallFiles);
    },
    async run(page, { count }) {
      const begin = await page.evaluate(drop, count);
      const name = `${count.toLocaleString("en")} files uploaded`;
      await page.waitForSelector(`::-p-aria([name="${name}"][role="region"])`, { timeout: 0 });
      return ((await page.evaluate(() => performance.now())) - begin) / 1000;
    },
  },
  uppy_many: {
    async prepare(page, job) {
      await openPeer(page, job);
      await page.evaluate(prepareSmallFiles);
    },
    run: (page, { count }) => page.evaluate(uploadByUppy, count),
  },
};

async function processes(system) {
  return (await system.send("SystemInfo.getProcessInfo")).processInfo;
}

/** The resident bytes of all processes of Chromium; what they share counts for each. */
async function resident(system) {
  const found = await Promise.all(
    (await processes(system)).map(({ id }) => readFile(`/proc/${id}/status`, "utf8").catch(() => "")),
  );
  return found.reduce((sum, status) => sum + 1024 * Number(/VmRSS:\s*(\d+)/.exec(status)?.[1] ?? 0), 0);
}

async function cpuSeconds(system) {
  return (await processes(system)).reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

async function measure(browser, job) {
  const kind = KINDS[job.kind];
  const page = await browser.newPage();
  const system = await browser.target().createCDPSession();
  await kind.prepare(page, job);
  const heaps = await Heaps.of(page);
  const [used, before] = [await cpuSeconds(system), await heaps.settled()];
  await page.evaluate(watchTasks);
  let [most, size, over] = [before, 0, false];
  const running = kind.run(page, job).finally(() => (over = true));
  const sampling = (async () => {
    for (; !over; await pause(SAMPLE_MILLISECONDS)) {
      most = Math.max(most, await heaps.used());
      size = Math.max(size, await resident(system));
    }
  })();
  const [seconds] = await Promise.all([running, sampling]);
  const longest_task = await page.evaluate(() => globalThis.longestTask());
  const cpu_seconds = (await cpuSeconds(system)) - used;
  const after = await heaps.settled();
  const heap = { heap_growth: most - before, heap_kept: after - before };
  return { seconds, longest_task, ...heap, cpu_seconds, resident: size };
}

const job = await json(process.stdin);
// Nobody watches the network, as Playwright always does: Chromium then passes each message on a WebSocket that is made
// of bytes to whoever watches, in Base64, which takes five times the CPU time of sending it.
const browser = await puppeteer.launch({
  executablePath: job.chromium,
  args: FLAGS,
  pipe: true,
  networkEnabled: false,
  protocolTimeout: 0,
});
try {
  process.stdout.write(JSON.stringify(await measure(browser, job)));
} finally {
  await browser.close();
}
