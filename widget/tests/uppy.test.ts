import Uppy, { type UppyFile } from "@uppy/core";
import { beforeEach, describe, expect, test } from "vitest";

import { type LadingOptions, LadingUploader } from "../src/uppy.js";
import { Peer, refuse } from "./support/peer.js";
import { settle, someBytes, until } from "./support/helpers.js";

type Meta = Record<string, unknown>;
type Body = Record<string, unknown>;
type File = UppyFile<Meta, Body>;

const BYTES = someBytes(47);
const [CHUNK, FINISH] = [4, 5];

let peer: Peer;
beforeEach(() => {
  peer = new Peer();
});

function uppyWith(options: Partial<LadingOptions<Meta, Body>> = {}): Uppy<Meta, Body> {
  const { url, WebSocket, fetch } = peer;
  const quiet = { debug: () => undefined, warn: () => undefined, error: () => undefined };
  const uppy = new Uppy<Meta, Body>({ logger: { ...quiet, warning: quiet.warn } as never });
  return uppy.use(LadingUploader<Meta, Body>, {
    url,
    WebSocket,
    fetch,
    small: 0,
    random: () => 0,
    ...options,
  });
}

function add(uppy: Uppy<Meta, Body>, name = "film.mp4", meta: Meta = {}): string {
  const data = new globalThis.File([BYTES], name, { type: "video/mp4", lastModified: 1 });
  return uppy.addFile({ name, type: data.type, data, meta });
}

/** Every event of a kind, from now on. */
function heard(
  uppy: Uppy<Meta, Body>,
  event: "upload-progress" | "upload-success" | "upload-error",
) {
  const calls: unknown[][] = [];
  uppy.on(event, (...given: unknown[]) => void calls.push(given));
  return calls;
}

/** Let no piece through until reported. */
function hold(): () => void {
  const held: Array<() => void> = [];
  peer.look = ([number, , start, , data], socket) => {
    if (number !== CHUNK) return false;
    held.push(() => socket.stored(start as number, data as Uint8Array));
    return true;
  };
  return () => {
    peer.look = () => false;
    for (const go of held) go();
  };
}

describe("an upload", () => {
  test("succeeds with the file's manifest and address", async () => {
    const uppy = uppyWith();
    const successes = heard(uppy, "upload-success");
    const id = add(uppy);
    const result = await uppy.upload();
    expect(result?.successful?.map((file) => file.id)).toEqual([id]);
    const [[file, response]] = successes as [[File, Record<string, unknown>]];
    expect(file.id).toBe(id);
    expect(response).toMatchObject({ status: 200, body: { name: "film.mp4", size: 47 } });
    expect(response["uploadURL"]).toMatch(/\/v1\/files\/[0-9a-f]{24}$/);
    expect(uppy.getFile(id).progress).toMatchObject({ uploadComplete: true, percentage: 100 });
    expect(peer.bytes).toEqual(BYTES);
  });

  test("reports acknowledged bytes and the size", async () => {
    const uppy = uppyWith();
    const progress = heard(uppy, "upload-progress");
    add(uppy);
    await uppy.upload();
    const reported = progress.map(([, each]) => each as { bytesUploaded: number; bytesTotal: number });
    expect(reported.map(({ bytesUploaded }) => bytesUploaded)).toEqual(
      expect.arrayContaining([0, 10, 47]),
    );
    expect(new Set(reported.map(({ bytesTotal }) => bytesTotal))).toEqual(new Set([47]));
  });

  test("that fails reports its error and can be retried", async () => {
    const uppy = uppyWith({ token: "bad" });
    peer.tokens = new Set(["good"]);
    const errors = heard(uppy, "upload-error");
    const id = add(uppy);
    const result = await uppy.upload();
    expect(result?.failed?.map((file) => file.id)).toEqual([id]);
    expect(errors[0]?.[1]).toMatchObject({ code: "unauthorized" });
    expect(uppy.getFile(id).error).toMatch(/Sign in again/);
    peer.tokens = null;
    await uppy.retryUpload(id);
    expect(peer.bytes).toEqual(BYTES);
  });

  test("may have options of its own", async () => {
    const asked: string[] = [];
    const uppy = uppyWith({
      directory: "common",
      forFile: async (file) => {
        asked.push(file.name);
        await settle();
        return { directory: `for/${file.meta["owner"] as string}`, tags: ["own"] };
      },
    });
    add(uppy, "film.mp4", { owner: "ann" });
    await uppy.upload();
    expect(asked).toEqual(["film.mp4"]);
    expect([...peer.uploads.values()][0]?.request).toMatchObject({
      directory: "for/ann",
      tags: ["own"],
    });
  });

  test("of a dropped folder keeps its directory", async () => {
    const uppy = uppyWith({ directory: "holiday" });
    add(uppy, "film.mp4", { relativePath: "2026/june/film.mp4" });
    await uppy.upload();
    expect([...peer.uploads.values()][0]?.request).toMatchObject({ directory: "holiday/2026/june" });
  });

  test("whose `forFile` throws fails alone", async () => {
    const uppy = uppyWith({
      forFile: (file) => {
        if (file.name === "bad") throw new Error("no grant for you");
        return {};
      },
    });
    const ids = [add(uppy, "bad"), add(uppy, "good")];
    const result = await uppy.upload();
    expect(result?.failed?.map((file) => file.id)).toEqual(ids.slice(0, 1));
    expect(result?.successful?.map((file) => file.id)).toEqual(ids.slice(1));
  });
});

describe("the buttons", () => {
  test("show what the plugin can do", () => {
    const uppy = uppyWith();
    expect(uppy.getState().capabilities).toMatchObject({
      resumableUploads: true,
      individualCancellation: true,
    });
    uppy.removePlugin(uppy.getPlugin("Lading")!);
    expect(uppy.getState().capabilities.resumableUploads).toBe(false);
  });

  test.each(["one", "all"])("pause and resume %s", async (which) => {
    const release = hold();
    const uppy = uppyWith();
    const id = add(uppy);
    const end = uppy.upload();
    await until(() => peer.count("CHUNK") === 2);
    if (which === "one") uppy.pauseResume(id);
    else uppy.pauseAll();
    release();
    await settle();
    expect([uppy.getFile(id).isPaused, peer.socket.closed]).toEqual([true, true]);
    if (which === "one") uppy.pauseResume(id);
    else uppy.resumeAll();
    await end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("removing a file deletes its upload, and ends the batch", async () => {
    hold();
    const uppy = uppyWith();
    const id = add(uppy);
    const end = uppy.upload();
    await until(() => peer.count("CHUNK") === 2);
    uppy.removeFile(id);
    expect(await end).toMatchObject({ successful: [], failed: [] });
    await until(() => peer.uploads.size === 0);
  });

  test("cancelling all deletes all", async () => {
    hold();
    const uppy = uppyWith();
    add(uppy, "a");
    add(uppy, "b");
    const end = uppy.upload();
    await until(() => peer.count("CHUNK") === 4);
    uppy.cancelAll();
    await end;
    await until(() => peer.uploads.size === 0);
  });

  test("removing a finished file leaves it on the server", async () => {
    const uppy = uppyWith();
    const id = add(uppy);
    await uppy.upload();
    uppy.removeFile(id);
    await settle();
    expect([peer.uploads.size, peer.count("DELETE")]).toEqual([1, 0]);
  });
});

describe("many files", () => {
  test("run a limited number at once", async () => {
    const release = hold();
    const uppy = uppyWith({ limit: 2 });
    for (const name of ["a", "b", "c"]) add(uppy, name);
    const end = uppy.upload();
    await until(() => peer.count("CHUNK") === 4);
    await settle();
    expect(peer.sockets.length).toBe(2);
    release();
    await end;
    expect(peer.sockets.length).toBe(3);
  });

  test("a paused upload leaves its turn to the next", async () => {
    const release = hold();
    const uppy = uppyWith({ limit: 1 });
    const [first] = [add(uppy, "a"), add(uppy, "b")];
    const end = uppy.upload();
    await until(() => peer.count("CHUNK") === 2);
    uppy.pauseResume(first);
    release();
    await until(() => uppy.getFiles()[1]?.progress.uploadComplete);
    uppy.pauseResume(first);
    const result = await end;
    expect(result?.successful).toHaveLength(2);
  });
});

describe("after a reload", () => {
  test("a restored file resumes by its id and keeps its progress", async () => {
    const kept = peer.create({ name: "film.mp4", size: 47 });
    kept.pieces.set(0, BYTES.slice(0, 10));
    const uppy = uppyWith();
    const id = add(uppy);
    const uploadStarted = 1_700_000_000_000;
    const progress = { uploadStarted, uploadComplete: false, bytesUploaded: 10, bytesTotal: 47 };
    uppy.setFileState(id, { isRestored: true, progress, lading: { id: kept.id } } as object);
    const started: File[] = [];
    uppy.on("upload-start", (files) => started.push(...files));
    uppy.setState({ currentUploads: { restored: { fileIDs: [id], step: 0, result: {} } } });
    await uppy.restore("restored");
    expect(started).toEqual([]);
    expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
    expect(uppy.getFile(id).progress.uploadStarted).toBe(uploadStarted);
  });

  test("the id is kept with the file", async () => {
    const uppy = uppyWith();
    const id = add(uppy);
    await uppy.upload();
    const kept = (uppy.getFile(id) as unknown as { lading: { id: string } }).lading;
    expect(kept.id).toBe([...peer.uploads.keys()][0]);
  });

  test("a file without content fails with a clear error", async () => {
    const uppy = uppyWith();
    const id = add(uppy);
    uppy.setFileState(id, { data: undefined } as object);
    const result = await uppy.upload();
    expect(result?.failed?.[0]?.error).toMatch(/cannot be read/);
  });
});

test("an interruption is reported", async () => {
  const uppy = uppyWith();
  let dropped = false;
  peer.look = ([number], socket) => {
    if (number !== CHUNK || dropped) return false;
    dropped = true;
    socket.drop();
    return true;
  };
  const stalled: string[] = [];
  uppy.on("upload-stalled", ({ message }) => stalled.push(message));
  add(uppy);
  await uppy.upload();
  expect(stalled).toEqual(["The server cannot be reached. Check the network, then try again."]);
});

test("a removed file that the server keeps is reported", async () => {
  const uppy = uppyWith();
  let finished = false;
  peer.look = ([number], socket) => {
    if (number !== FINISH) return finished;
    socket.upload!.state = "ready";
    finished = true;
    socket.drop();
    return true;
  };
  peer.answer = (method, path) =>
    method === "DELETE" && path.startsWith("/v1/files") ? refuse(403, "forbidden") : undefined;
  const id = add(uppy);
  void uppy.upload();
  await until(() => finished);
  uppy.removeFile(id);
  const kept = /its file stays on the server/;
  await until(() => uppy.getState().info.some(({ message }) => kept.test(String(message))));
});
