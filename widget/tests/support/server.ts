/** A real server for the tests: `lading serve` in its own process, with its own database. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const PROGRAM = join(ROOT, ".venv", "bin", "lading");
const READY_MILLISECONDS = 30_000;

/** Why no server can start here, or undefined. */
export const lacking = existsSync(PROGRAM) ? undefined : `${PROGRAM} is missing`;

interface Note {
  readonly url: string;
  readonly token: string;
}

export class Server {
  private child: ChildProcess | undefined;
  private note: Note = { url: "", token: "" };

  private constructor(
    private readonly folder: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** Start a server. `settings` are environment variables. */
  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), "lading-widget-")), settings);
    await server.run("0");
    return server;
  }

  get url(): string {
    return this.note.url;
  }

  get token(): string {
    return this.note.token;
  }

  /** Kill it, as a power cut does. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Start it again at the same address. */
  async again(): Promise<void> {
    await rm(join(this.folder, "server.json"), { force: true });
    await this.run(new URL(this.url).port);
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A request with the server's token. */
  request(method: string, path: string, json?: unknown): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${this.token}` },
      body: json === undefined ? null : JSON.stringify(json),
    });
  }

  private async run(port: string): Promise<void> {
    const log = await open(join(this.folder, "output"), "a");
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("LADING_"));
    this.child = spawn(PROGRAM, ["serve"], {
      env: {
        ...Object.fromEntries(own),
        LADING_DATA: this.folder,
        LADING_PORT: port,
        ...this.settings,
      },
      stdio: ["ignore", log.fd, log.fd],
    });
    await log.close();
    const note = join(this.folder, "server.json");
    const deadline = Date.now() + READY_MILLISECONDS;
    while (!existsSync(note)) {
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(await readFile(join(this.folder, "output"), "utf8"));
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.note = JSON.parse(await readFile(note, "utf8")) as Note;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await exited;
  }
}
