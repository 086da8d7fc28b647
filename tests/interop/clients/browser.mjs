// tus-js-client or Uppy in Chromium: reads {"url", "token", "path", "options", "chromium", "page"} and
// prints the upload's address. With "uppy" in its options the uploader is Uppy's.
//
// The page is of another origin than the server: this program serves it, on the port "page". The
// clients are bundled from the packages that widget/ has.

import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { chromium } from "../../../widget/node_modules/playwright-core/index.mjs";
import { build } from "../../../widget/node_modules/rolldown/dist/index.mjs";

const WIDGET = new URL("../../../widget/", import.meta.url).pathname;
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
const PAGE = "<!doctype html><input type=file>";
const ENTRY = `
  export { Uppy } from "@uppy/core";
  export { default as Tus } from "@uppy/tus";
  export { Upload } from "tus-js-client";
`;

/** The clients as one module of the page. */
async function bundle() {
  const folder = await mkdtemp(join(tmpdir(), "clients-"));
  try {
    const virtual = {
      name: "entry",
      resolveId: (id) => (id === "entry" ? join(WIDGET, "entry.js") : null),
      load: (id) => (id === join(WIDGET, "entry.js") ? ENTRY : null),
    };
    const file = join(folder, "clients.js");
    await build({ input: "entry", cwd: WIDGET, platform: "browser", plugins: [virtual], output: { file }, logLevel: "silent" });
    return await readFile(file, "utf8");
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs in the page. */
async function send({ url, token, options }) {
  const { Uppy, Tus, Upload } = await import("/clients.js");
  const { uppy, ...given } = options;
  const [file] = document.querySelector("input").files;
  const common = {
    endpoint: `${url}/v1/tus`,
    headers: { Authorization: `Bearer ${token}` },
    retryDelays: Array.from({ length: 300 }, () => 200),
    ...given,
  };
  if (uppy) {
    const uploader = new Uppy({ id: "interop" }).use(Tus, common);
    uploader.addFile({ name: "uppy.bin", type: file.type, data: file });
    const { successful, failed } = await uploader.upload();
    if (failed.length > 0) throw new Error(String(failed[0].error));
    return successful[0].uploadURL;
  }
  return new Promise((resolve, reject) => {
    const metadata = { filename: "browser.bin", filetype: "application/octet-stream" };
    const upload = new Upload(file, { ...common, metadata, onError: reject, onSuccess: () => resolve(upload.url) });
    upload.start();
  });
}

const job = await json(process.stdin);
const script = await bundle();
// Not by routes of Playwright: with one, the bodies of all requests go through its own connection.
const site = createServer(({ url }, answer) => {
  const [type, body] = url === "/clients.js" ? ["text/javascript", script] : ["text/html", PAGE];
  answer.writeHead(200, { "Content-Type": type }).end(body);
}).listen(job.page, "127.0.0.1");
await once(site, "listening");
const browser = await chromium.launch({ executablePath: job.chromium, args: FLAGS });
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${job.page}/`);
  await page.locator("input").setInputFiles(job.path);
  process.stdout.write(JSON.stringify({ url: await page.evaluate(send, job) }));
} finally {
  await browser.close();
  site.closeAllConnections();
  site.close();
}
