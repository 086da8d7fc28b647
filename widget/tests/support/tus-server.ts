/** Servers of others that speak tus: `@tus/server` in this process, and `tuspyserver` in one of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PYTHON = join(ROOT, ".venv", "bin", "python");
const READY_MILLISECONDS = 30_000;

/** Why no `tuspyserver` can start here, or undefined. */
export const lacking = existsSync(PYTHON) ? undefined : `${PYTHON} is missing`;

/** A server of tus whose files are in a directory. */
export class TusServer {
  private constructor(
    /** Where uploads are created. */
    readonly url: string,
    private readonly folder: string,
    private readonly end: () => Promise<void>,
    /** What was asked of it: `PATCH /files/…`. Only of `@tus/server`. */
    readonly heard: string[] = [],
  ) {}

  /** `@tus/server` with its file store. */
  static async node(options: { maxSize?: number; port?: number } = {}): Promise<TusServer> {
    const folder = await mkdtemp(join(tmpdir(), "tus-"));
    const { maxSize, port = 0 } = options;
    const datastore = new FileStore({ directory: folder });
    const tus = new Server({ path: "/files", datastore, ...(maxSize === undefined ? {} : { maxSize }) });
    const heard: string[] = [];
    const listener = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`);
      void tus.handle(request, response);
    });
    listener.listen(port, "127.0.0.1");
    await once(listener, "listening");
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/files`;
    const end = async (): Promise<void> => {
      listener.close();
      listener.closeAllConnections();
    };
    return new TusServer(url, folder, end, heard);
  }

  /** `tuspyserver` on uvicorn. */
  static async python(): Promise<TusServer> {
    const folder = await mkdtemp(join(tmpdir(), "tus-"));
    const port = await freePort();
    const program = join(ROOT, "bench", "peers", "tuspyserver_app.py");
    const child = spawn(PYTHON, [program, folder, String(port)], { stdio: "ignore" });
    const url = `http://127.0.0.1:${port}/files/`;
    await answering(url, child);
    return new TusServer(url, folder, async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    });
  }

  /** The SHA-256 of a stored file, by the address of its upload. */
  async sha256(address: string): Promise<string> {
    const id = address.slice(address.lastIndexOf("/") + 1);
    return createHash("sha256").update(await readFile(join(this.folder, id))).digest("hex");
  }

  /** What HEAD says of an upload. */
  async head(address: string): Promise<Response> {
    return fetch(address, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  for (const end = Date.now() + READY_MILLISECONDS; ; ) {
    if (await fetch(url, { method: "OPTIONS" }).catch(() => null)) return;
    if (child.exitCode !== null || Date.now() > end) throw new Error("tuspyserver did not start");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
