/** Cancelling an upload that finished before the client heard of it. Nothing may remain. */

import { decode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { Upload, type UploadOptions } from "../../src/index.js";
import { someBytes } from "../support/helpers.js";
import { lacking, Server } from "../support/server.js";

const BYTES = someBytes(1_000_000);
const COMPLETE = 70;

let server: Server;
beforeAll(async () => {
  if (lacking === undefined) server = await Server.start();
});
afterAll(() => server?.stop());

/** How the client misses that the upload finished. */
const WAYS = ["a WebSocket that breaks", "a WebSocket without COMPLETE", "HTTP that breaks"] as const;
type Way = (typeof WAYS)[number];

/** A WebSocket that loses COMPLETE, and breaks at that moment if `breaks`. */
function lossySocket(breaks: boolean, finished: () => void): UploadOptions["WebSocket"] {
  return class extends WebSocket {
    override emit(event: string | symbol, ...args: unknown[]): boolean {
      const complete =
        event === "message" && (decode(args[0] as Uint8Array) as unknown[])[0] === COMPLETE;
      if (!complete) return super.emit(event, ...args);
      if (breaks) this.terminate();
      finished();
      return true;
    }
  };
}

/** A fetch that loses the answer of the server to the request that finishes the upload. */
function breakingFetch(finished: () => void): typeof fetch {
  return async (address, init) => {
    const response = await fetch(address, init);
    if (!response.ok || !String(address).endsWith("/finish")) return response;
    finished();
    throw new TypeError("The connection was lost.");
  };
}

/** Cancel an upload in the moment in which its end is lost. Returns what `cancel` returned. */
async function cancelled(way: Way, token: string): Promise<{ id: string; outcome: unknown }> {
  let outcome: Promise<unknown> | undefined;
  const finished = (): void => {
    outcome ??= upload.cancel().catch((error: unknown) => error);
  };
  const file = new File([BYTES], "cancelled.bin");
  const upload = new Upload(file, {
    url: server.url,
    token,
    transport: way === "HTTP that breaks" ? "http" : "websocket",
    fingerprint: null,
    WebSocket: lossySocket(way === "a WebSocket that breaks", finished),
    fetch: breakingFetch(finished),
  });
  await expect(upload.start()).rejects.toMatchObject({ code: "cancelled" });
  return { id: upload.id!, outcome: await outcome };
}

describe.skipIf(lacking)(`a real server${lacking ? ` (${lacking})` : ""}`, () => {
  test.each(WAYS)("deletes the file, over %s", async (way) => {
    const { id, outcome } = await cancelled(way, server.token);
    expect(outcome).toBeUndefined();
    expect((await server.request("GET", `/v1/uploads/${id}`)).status).toBe(404);
    expect((await server.request("GET", `/v1/files/${id}`)).status).toBe(404);
  });

  test.each(WAYS)(
    "keeps a grant's file, since a grant cannot delete, and says so, over %s",
    async (way) => {
      const grant = { action: "upload", user_id: "admin", max_size: BYTES.length };
      const minted = await server.request("POST", "/v1/grants", grant);
      const { token } = (await minted.json()) as { token: string };
      const { id, outcome } = await cancelled(way, token);
      expect(outcome).toMatchObject({
        code: "already-complete",
        message: expect.stringContaining("its file stays on the server") as string,
      });
      expect((await server.request("GET", `/v1/files/${id}`)).status).toBe(200);
    },
  );
});
