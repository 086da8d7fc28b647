/** A real `lading serve` in its own process, and requests that a program makes. */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const PROGRAM = resolve(import.meta.dirname, "../../.venv/bin/lading");
const READY = 30_000;

export type Settings = Readonly<Record<string, string>>;

export interface StoredFile {
  _id: string;
  name: string;
  size: number;
  sha256: string | null;
  tags: string[];
  upload_size: number;
}

export class Server {
  url = "";
  token = "";
  /** The token of the server itself; "" where it has none. */
  private admin = "";
  private child: ChildProcess | undefined;
  private output = "";

  private constructor(readonly data: string, private readonly settings: Settings) {}

  static async start(settings: Settings = {}): Promise<Server> {
    // The path of a unix socket must be short, so it is not below the directories of the tests.
    const server = new Server(await mkdtemp(join(tmpdir(), "lading-")), settings);
    try {
      await server.run("0");
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  private async run(port: string): Promise<void> {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("LADING_"));
    const env = { ...Object.fromEntries(own), LADING_DATA: this.data, LADING_PORT: port, ...this.settings };
    const note = join(this.data, "server.json");
    await rm(note, { force: true });
    const child = spawn(PROGRAM, ["serve"], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (this.output += String(data)));
    for (const end = Date.now() + READY; ; await pause(20)) {
      const text = await readFile(note, "utf8").catch(() => "");
      if (text.endsWith("\n")) {
        const { url, token } = JSON.parse(text) as { url: string; token: string | null };
        this.url = url;
        this.token = this.admin = token ?? "";
        return;
      }
      if (child.exitCode !== null || Date.now() > end) throw new Error(`the server did not start:\n${this.output}`);
    }
  }

  /** Kill it, as a crash does. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Start it again with the same data and address. */
  async restart(): Promise<void> {
    await this.run(String(this.port));
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.data, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Delete every user with all they have. Whether that could be: it needs a token of the server's own. */
  async emptied(): Promise<boolean> {
    if (this.admin === "") return false;
    this.token = this.admin;
    const { users } = (await (await this.ask("/v1/users?limit=1000")).json()) as { users: { user_id: string }[] };
    // The server's own user is not listed while it has nothing but grants.
    for (const user of new Set(["admin", ...users.map(({ user_id }) => user_id)])) {
      const answer = await this.request(`/v1/users/${encodeURIComponent(user)}`, { method: "DELETE" });
      if (!answer.ok) return false; // 503 while large files are still being deleted
    }
    return true;
  }

  // -- requests

  private request(path: string, options: RequestInit = {}, token = this.token): Promise<Response> {
    const headers = { Authorization: `Bearer ${token}`, ...options.headers };
    return fetch(this.url + path, { ...options, headers });
  }

  async ask(path: string, options: RequestInit = {}, token = this.token): Promise<Response> {
    const answer = await this.request(path, options, token);
    if (!answer.ok) throw new Error(`${options.method ?? "GET"} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  async files(): Promise<StoredFile[]> {
    return ((await (await this.ask("/v1/files?limit=1000")).json()) as { files: StoredFile[] }).files;
  }

  async uploads(): Promise<StoredFile[]> {
    return ((await (await this.ask("/v1/uploads")).json()) as { uploads: StoredFile[] }).uploads;
  }

  /** Stored bytes of the only unfinished upload; 0 if there is none. */
  async stored(): Promise<number> {
    return (await this.uploads())[0]?.upload_size ?? 0;
  }

  async put(name: string, body: Uint8Array<ArrayBuffer> | string, type = "", tags: string[] = []): Promise<StoredFile> {
    const query = new URLSearchParams([["name", name], ...tags.map((tag): [string, string] => ["tag", tag])]);
    const headers = { "Content-Type": type || "application/octet-stream" };
    const answer = await this.ask(`/v1/files?${query}`, { method: "POST", body, headers });
    return (await answer.json()) as StoredFile;
  }

  async sha256(id: string): Promise<string> {
    const hash = createHash("sha256");
    const { body } = await this.ask(`/v1/files/${id}`);
    for await (const part of body ?? []) hash.update(part);
    return hash.digest("hex");
  }
}
