/** The fake server of the tests answers as the real one does: the same questions, the same answers. */

import { decode, encode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { crc32cByTables } from "../../src/source/crc32c.js";
import type { SocketConstructor } from "../../src/transport/connection.js";
import { Peer } from "../support/peer.js";
import { lacking, Server } from "../support/server.js";

/** What the questions need of either server. */
interface Asked {
  readonly url: string;
  readonly token: string;
  readonly fetch: typeof fetch;
  readonly WebSocket: SocketConstructor;
}

let real: Server;
beforeAll(async () => {
  if (lacking === undefined) real = await Server.start();
});
afterAll(() => real?.stop());

const NOBODY = "0".repeat(24);
const DATA = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
const OTHER = new Uint8Array([8, 7, 6, 5, 4, 3, 2, 1]);

/** Status and code, as one line. */
async function request(
  asked: Asked,
  method: string,
  path: string,
  body?: unknown,
  token = asked.token,
): Promise<[answer: string, json: Record<string, unknown>]> {
  const bytes = body instanceof Uint8Array;
  const response = await asked.fetch(asked.url + path, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(bytes ? { "X-Lading-Crc32c": String(crc32cByTables(body)) } : {}),
      ...(body === undefined || bytes ? {} : { "Content-Type": "application/json" }),
    },
    body: body === undefined ? null : bytes ? new Blob([body as BlobPart]) : JSON.stringify(body),
  });
  const text = await response.text();
  const json = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
  return [`${response.status} ${String(json["code"] ?? json["state"] ?? "")}`.trim(), json];
}

/** An upload of 8 bytes in a state, by plain HTTP. */
async function upload(asked: Asked, state: "empty" | "stored" | "ready" | "deleted") {
  const [, made] = await request(asked, "POST", "/v1/uploads", { name: "a.bin", size: 8 });
  const id = String(made["_id"]);
  if (state === "stored" || state === "ready") {
    await request(asked, "PUT", `/v1/uploads/${id}/chunks/0`, DATA);
  }
  if (state === "ready") await request(asked, "POST", `/v1/uploads/${id}/finish`, {});
  if (state === "deleted") await request(asked, "DELETE", `/v1/uploads/${id}`);
  return id;
}

type HttpQuestion = readonly [what: string, ask: (asked: Asked) => Promise<string>];

/** A question about an upload in a state. */
function about(
  state: Parameters<typeof upload>[1],
  method: string,
  path: (id: string) => string,
  body?: unknown,
): HttpQuestion {
  const what = `${method} ${path("{id}")}${body instanceof Uint8Array ? ` [${body}]` : ""}: ${state}`;
  return [
    what,
    async (asked) => (await request(asked, method, path(await upload(asked, state)), body))[0],
  ];
}

function plain(method: string, path: string, body?: unknown, token?: string): HttpQuestion {
  return [
    `${method} ${path}${token === undefined ? "" : " with a wrong token"}`,
    async (asked) => (await request(asked, method, path, body, token))[0],
  ];
}

const at = (id: string): string => `/v1/uploads/${id}`;
const file = (id: string): string => `/v1/files/${id}`;
const chunk = (id: string): string => `/v1/uploads/${id}/chunks/0`;
const beyond = (id: string): string => `/v1/uploads/${id}/chunks/8`;
const finish = (id: string): string => `/v1/uploads/${id}/finish`;

const HTTP: readonly HttpQuestion[] = [
  plain("POST", "/v1/uploads", { name: "a.bin", size: 8 }),
  plain("GET", "/v1/uploads?fingerprint=unknown"),
  plain("GET", "/v1/uploads?fingerprint=unknown", undefined, "wrong"),
  plain("GET", at(NOBODY)),
  plain("DELETE", at(NOBODY)),
  plain("DELETE", file(NOBODY)),
  plain("PUT", chunk(NOBODY), DATA),
  plain("POST", finish(NOBODY), {}),
  about("empty", "GET", at),
  about("ready", "GET", at),
  about("deleted", "GET", at),
  about("empty", "PUT", chunk, DATA),
  about("stored", "PUT", chunk, DATA),
  about("stored", "PUT", chunk, OTHER),
  about("stored", "PUT", beyond, DATA),
  about("ready", "PUT", chunk, DATA),
  about("ready", "PUT", beyond, DATA),
  about("deleted", "PUT", chunk, DATA),
  about("empty", "POST", finish, {}),
  about("stored", "POST", finish, {}),
  about("ready", "POST", finish, {}),
  about("deleted", "POST", finish, {}),
  about("stored", "DELETE", at),
  about("ready", "DELETE", at),
  about("deleted", "DELETE", at),
  about("stored", "DELETE", file),
  about("ready", "DELETE", file),
  about("deleted", "DELETE", file),
];

const NAMES: Readonly<Record<number, string>> = {
  65: "WELCOME",
  66: "OPENED",
  67: "STORED",
  68: "REFUSED",
  70: "COMPLETE",
  71: "CLOSED",
  72: "PROBLEM",
};

/** What a connection receives, as names and codes, until it ends or `answers` messages came. */
function converse(
  asked: Asked,
  messages: readonly (readonly unknown[])[],
  answers: number,
): Promise<string[]> {
  const received: string[] = [];
  return new Promise((resolve) => {
    const socket = new asked.WebSocket(`${asked.url.replace(/^http/, "ws")}/v1/ws`, ["lading.v1"]);
    const rest = [...messages];
    const next = (): void => {
      const message = rest.shift();
      if (message !== undefined) socket.send(encode(message).slice());
    };
    const receive = (what: string): void => {
      received.push(what);
      if (received.length < answers) return next();
      socket.onclose = null;
      socket.close();
      resolve(received);
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = next;
    socket.onmessage = ({ data }: { data: ArrayBuffer }) => {
      const [number, ...items] = decode(data) as [number, ...unknown[]];
      const name = NAMES[number];
      if (name === undefined) return; // WINDOW, VERIFYING
      const { code, state } = (items.at(-1) ?? {}) as Record<string, unknown>;
      receive([name, code ?? state].filter(Boolean).join(" "));
    };
    socket.onclose = ({ code }: { code: number }) => resolve([...received, `closed ${code}`]);
  });
}

type SocketQuestion = readonly [what: string, ask: (asked: Asked) => Promise<string[]>];

/** RESUME an upload in a state, then send one more message. */
function resumed(
  state: Parameters<typeof upload>[1],
  answers: number,
  ...then: unknown[][]
): SocketQuestion {
  return [
    `RESUME: ${state}${then.map(([number]) => `, then ${number}`).join("")}`,
    async (asked) => {
      const id = await upload(asked, state);
      return converse(asked, [[1, { token: asked.token }], [3, 0, id], ...then], answers);
    },
  ];
}

const FINISH = [5, 0, {}];
const ABORT = [6, 0];

const SOCKET: readonly SocketQuestion[] = [
  ["HELLO, wrong token", (asked) => converse(asked, [[1, { token: "wrong" }]], 9)],
  [
    "CREATE",
    (asked) =>
      converse(asked, [[1, { token: asked.token }], [2, 0, { name: "a.bin", size: 8 }]], 2),
  ],
  [
    "RESUME: unknown",
    (asked) => converse(asked, [[1, { token: asked.token }], [3, 0, NOBODY]], 2),
  ],
  resumed("empty", 2),
  resumed("ready", 3),
  resumed("deleted", 2),
  resumed("empty", 3, [4, 0, 0, crc32cByTables(DATA), DATA]),
  resumed("stored", 3, [4, 0, 0, crc32cByTables(DATA), DATA]),
  resumed("stored", 3, [4, 0, 0, crc32cByTables(OTHER), OTHER]),
  resumed("empty", 3, [4, 0, 0, 1, DATA]),
  resumed("empty", 3, FINISH),
  resumed("stored", 3, FINISH),
  resumed("ready", 4, [9, 1], FINISH),
  resumed("stored", 3, ABORT),
  resumed("ready", 4, [9, 1], ABORT),
];

describe.skipIf(lacking)(`the fake and the real server${lacking ? ` (${lacking})` : ""}`, () => {
  function both(): [fake: Asked, genuine: Asked] {
    const { url, token } = real;
    const peer = new Peer();
    peer.tokens = new Set(["good"]);
    const fake = { url: peer.url, token: "good", fetch: peer.fetch, WebSocket: peer.WebSocket };
    return [fake, { url, token, fetch, WebSocket: WebSocket as SocketConstructor }];
  }

  test.each(HTTP)("agree on %s", async (_, ask) => {
    const [fake, genuine] = both();
    expect(await ask(fake)).toBe(await ask(genuine));
  });

  test.each(SOCKET)("agree on %s", async (_, ask) => {
    const [fake, genuine] = both();
    expect(await ask(fake)).toEqual(await ask(genuine));
  });
});
