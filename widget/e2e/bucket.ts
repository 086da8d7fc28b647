/** A real SeaweedFS with one bucket, for servers whose files live in S3. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Settings } from "./server.js";

const ROOT = resolve(import.meta.dirname, "../..");
const [PROGRAM, PYTHON] = ["weed", "python"].map((name) => join(ROOT, ".venv/bin", name)) as [string, string];
const READY = 60_000;
const [ACCESS, SECRET] = ["lading-tests", "the-secret-of-the-tests"];
const BUCKET = "files";
const SERVERS = ["master", "volume", "filer", "admin", "s3"] as const;

/** One request by the SDK that the server uses. */
const REQUEST = `
import asyncio, json, sys
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

async def ask(url, operation, parameters):
    once = AioConfig(retries={"max_attempts": 0})
    session = get_session()
    async with session.create_client("s3", endpoint_url=url, region_name="us-east-1", config=once) as s3:
        await getattr(s3, operation)(**json.loads(parameters))

asyncio.run(ask(*sys.argv[1:]))
`;

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
    return this.call("create_bucket").then(() => true, () => false);
  }

  /** Let the pages of one site send files to the bucket, by the rule of docs/storage.md. */
  async allow(origin: string): Promise<void> {
    const docs = await readFile(join(ROOT, "docs/storage.md"), "utf8");
    const [, rule] = /```json\n(\{"CORSRules".*?)```/s.exec(docs) ?? [];
    if (rule === undefined) throw new Error("docs/storage.md has no CORS rule");
    await this.call("put_bucket_cors", { CORSConfiguration: JSON.parse(rule.replace("https://example.org", origin)) });
  }

  /** A request of the store's owner for the bucket. */
  private async call(operation: string, parameters: object = {}): Promise<void> {
    const env = { ...process.env, AWS_ACCESS_KEY_ID: ACCESS, AWS_SECRET_ACCESS_KEY: SECRET };
    const asked = JSON.stringify({ Bucket: BUCKET, ...parameters });
    await run(PYTHON, ["-c", REQUEST, this.url, operation, asked], { env });
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
