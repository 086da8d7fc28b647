/** A real SeaweedFS with one bucket, for servers whose files live in S3. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Settings } from "./server.js";

const PROGRAM = resolve(import.meta.dirname, "../../.venv/bin/weed");
const READY = 60_000;
const [ACCESS, SECRET] = ["lading-tests", "the-secret-of-the-tests"];
const BUCKET = "files";
const SERVERS = ["master", "volume", "filer", "admin", "s3"] as const;

const run = promisify(execFile);

export class Bucket {
  private child: ChildProcess | undefined;
  private output = "";

  private constructor(private readonly data: string, private readonly port: number) {}

  static async start(): Promise<Bucket> {
    const bucket = new Bucket(await mkdtemp(join(tmpdir(), "lading-weed-")), await freePort());
    try {
      await bucket.run();
    } catch (error) {
      await bucket.stop();
      throw error;
    }
    return bucket;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What a server needs to keep its files there. */
  get settings(): Settings {
    return {
      LADING_BLOBS: `s3://${BUCKET}/media`,
      LADING_S3_ENDPOINT: this.url,
      AWS_ACCESS_KEY_ID: ACCESS,
      AWS_SECRET_ACCESS_KEY: SECRET,
    };
  }

  private async run(): Promise<void> {
    const identities = join(this.data, "identities.json");
    const credentials = [{ accessKey: ACCESS, secretKey: SECRET }];
    const owner = { name: "owner", credentials, actions: ["Admin", "Read", "List", "Tagging", "Write"] };
    await writeFile(identities, JSON.stringify({ identities: [owner] }));
    const ports = SERVERS.flatMap((name) => [`${name}.port`, `${name}.port.grpc`]).filter((name) => name !== "s3.port");
    const words = ["-logtostderr", "mini", `-dir=${this.data}`, "-ip=127.0.0.1", "-ip.bind=127.0.0.1"];
    words.push(`-s3.config=${identities}`, `-s3.port=${this.port}`, "-webdav=false", "-admin.ui=false");
    words.push("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20");
    words.push("-s3.autoCreateBucket=false");
    for (const name of ports) words.push(`-${name}=${await freePort()}`);
    for (const name of ["filer", "s3"]) words.push(`-${name}.localSocket=${join(this.data, name)}.sock`);
    const child = spawn(PROGRAM, words, { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (this.output += String(data)));
    for (const end = Date.now() + READY; !(await this.exists()); await pause(100)) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`SeaweedFS did not start:\n${this.output}`);
    }
  }

  /** Whether the bucket was made, which succeeds when all parts of the store are up. */
  private exists(): Promise<boolean> {
    return this.ask("").then(() => true, () => false);
  }

  /** Let the pages of one site send files to the bucket, as docs/storage.md says. */
  async allow(origin: string): Promise<void> {
    const rule = `<AllowedOrigin>${origin}</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>`;
    await this.ask("?cors", `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`);
  }

  /** A signed PUT to the bucket. */
  private async ask(query: string, body = ""): Promise<void> {
    const signed = ["--user", `${ACCESS}:${SECRET}`, "--aws-sigv4", "aws:amz:us-east-1:s3"];
    await run("curl", ["-sS", "--fail", "-X", "PUT", ...signed, "--data-binary", body, `${this.url}/${BUCKET}${query}`]);
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGKILL"); // it takes more than 20 s to end by itself
      await ended;
    }
    await rm(this.data, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const listener = createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  await new Promise((closed) => listener.close(closed));
  return port;
}
