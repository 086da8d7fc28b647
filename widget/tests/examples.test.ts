/** The examples: those that are programs are run; all are checked by `npm run typecheck`. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type Uppy from "@uppy/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { uploadFolder } from "../examples/folder.js";
import { put } from "../examples/node.js";
import { uploadRecording } from "../examples/recording.js";
import { uploadAs } from "../examples/token.js";
import { makeUppy } from "../examples/uppy.js";
import * as lading from "../src/index.js";
import { Peer } from "./support/peer.js";
import { someBytes } from "./support/helpers.js";

const BYTES = someBytes(47);
const FILE = new File([BYTES], "film.mp4");

let peer: Peer;
let asked: string[];
beforeEach(() => {
  peer = new Peer();
  asked = [];
  vi.stubGlobal("WebSocket", peer.WebSocket);
  vi.stubGlobal("fetch", (address: unknown, init?: RequestInit) => {
    if (!String(address).startsWith("/my-back-end")) return peer.fetch(address, init);
    asked.push(String(address));
    return Promise.resolve(
      String(address).endsWith("grant") ? Response.json({ token: "lg_a" }) : new Response("t"),
    );
  });
  vi.stubGlobal("location", new URL(peer.url));
});
afterEach(() => vi.unstubAllGlobals());

test("a plain page", async () => {
  const page = await readFile(new URL("../examples/plain.html", import.meta.url), "utf8");
  const script = /<script type="module">(.*)<\/script>/s.exec(page)![1]!;
  const [imported, ...rest] = script.trim().split("\n");
  expect(imported).toBe('import { Upload } from "/widget/lading.js";');
  const elements: Record<string, Record<string, unknown>> = { file: { files: [FILE] } };
  const document = { getElementById: (id: string) => (elements[id] ??= {}) };
  const run = new Function("Upload", "document", rest.join("\n")) as (...given: unknown[]) => void;
  run(lading.Upload, document);
  await (elements["file"]!["onchange"] as () => Promise<void>)();
  expect(elements["said"]!["textContent"]).toContain(`Stored at ${peer.url}/v1/files/`);
  expect(elements["progress"]!["value"]).toBe(1);
  expect(peer.bytes).toEqual(BYTES);
});

test("Uppy with a grant for each file", async () => {
  const uppy: Uppy = makeUppy(peer.url);
  uppy.addFile({ name: FILE.name, data: FILE });
  const result = await uppy.upload();
  expect([result?.successful?.length, asked]).toEqual([1, ["/my-back-end/grant"]]);
});

test("a token that is asked for", async () => {
  await uploadAs(FILE, peer.url).start();
  expect(asked).toEqual(["/my-back-end/token?reason=first"]);
});

test("a recording", async () => {
  const recorder = { mimeType: "video/webm", start: vi.fn() } as unknown as MediaRecorder;
  const upload = uploadRecording(recorder, "recording.webm");
  const end = upload.start();
  for (const part of [BYTES.subarray(0, 20), BYTES.subarray(20)]) {
    recorder.ondataavailable?.({ data: new Blob([part]) } as BlobEvent);
  }
  recorder.onstop?.(new Event("stop"));
  await end;
  expect(peer.bytes).toEqual(BYTES);
});

test("a folder", async () => {
  const file = Object.assign(new File([BYTES], "a.txt"), { webkitRelativePath: "top/sub/a.txt" });
  const status = { textContent: "" };
  await uploadFolder({ files: [file] } as unknown as HTMLInputElement, status as HTMLElement);
  const [{ request } = { request: {} }] = [...peer.uploads.values()];
  expect(request).toMatchObject({ name: "a.txt", directory: "top/sub" });
});

test("Node, up to where the network begins", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lading-widget-"));
  try {
    await writeFile(join(folder, "film.mp4"), BYTES);
    peer.tokens = new Set();
    const refused = put(join(folder, "film.mp4"), peer.url, "wrong");
    await expect(refused).rejects.toMatchObject({ code: "unauthorized" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
