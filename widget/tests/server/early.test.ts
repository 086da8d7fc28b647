/** Pieces before the answer to CREATE, to a real server with its default settings. */

import { decode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { Upload } from "../../src/index.js";
import { TABLES } from "../../src/protocol/tables.js";
import { someBytes } from "../support/helpers.js";
import { lacking, Server } from "../support/server.js";

const BYTES = someBytes(3 * 1024 * 1024 + 77);
const [CREATE, CHUNK, OPENED] = [2, 4, 66];

let server: Server;
beforeAll(async () => {
  if (lacking === undefined) server = await Server.start();
});
afterAll(() => server?.stop());

/** The numbers of all messages, sent and received, in the order of the client. */
let said: number[] = [];
let spoken: string[] = [];

class Heard extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.addEventListener("message", ({ data }) => note(data as ArrayBuffer));
    this.addEventListener("close", () => spoken.push(this.protocol));
  }

  override send(data: Uint8Array): void {
    note(data);
    super.send(data);
  }
}

function note(data: ArrayBuffer | Uint8Array): void {
  said.push((decode(data) as [number])[0]);
}

let files = 0;

async function upload(bytes: Uint8Array<ArrayBuffer>, options: object = {}): Promise<string> {
  [said, spoken] = [[], []];
  const file = new File([bytes], `early-${++files}.bin`);
  const { url, token } = server;
  const task = new Upload(file, { url, token, WebSocket: Heard, transport: "websocket", ...options });
  return (await task.start()).id;
}

async function stored(id: string): Promise<Uint8Array> {
  const response = await server.request("GET", `/v1/files/${id}`);
  return new Uint8Array(await response.arrayBuffer());
}

describe.skipIf(lacking)(`a real server${lacking ? ` (${lacking})` : ""}`, () => {
  test("takes pieces right behind CREATE", async () => {
    const id = await upload(BYTES);
    expect(said.indexOf(CHUNK)).toBeLessThan(said.indexOf(OPENED));
    expect(Buffer.compare(await stored(id), BYTES)).toBe(0);
    expect(spoken).toEqual([TABLES.early.subprotocol]);
  });

  test("with cells of another size they wait for OPENED", async () => {
    const id = await upload(BYTES, { chunkSize: 65_536 });
    expect(said.indexOf(CREATE)).toBeLessThan(said.indexOf(OPENED));
    expect(said.indexOf(CHUNK)).toBeGreaterThan(said.indexOf(OPENED));
    expect(Buffer.compare(await stored(id), BYTES)).toBe(0);
  });

  test("refuses the upload and each of its pieces, in words", async () => {
    await expect(upload(BYTES, { kind: "unheard-of" })).rejects.toMatchObject({ code: "invalid-argument" });
  });
});
