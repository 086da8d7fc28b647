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

/** A WebSocket that breaks when the server says that the upload is complete. */
function breakingSocket(finished: () => void): UploadOptions["WebSocket"] {
  return class extends WebSocket {
    override emit(event: string | symbol, ...args: unknown[]): boolean {
      const complete =
        event === "message" && (decode(args[0] as Uint8Array) as unknown[])[0] === COMPLETE;
      if (!complete) return super.emit(event, ...args);
      this.terminate();
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
async function cancelled(
  transport: "websocket" | "http",
  token: string,
): Promise<{ id: string; outcome: unknown }> {
  let outcome: Promise<unknown> | undefined;
  const finished = (): void => {
    outcome ??= upload.cancel().catch((error: unknown) => error);
  };
  const file = new File([BYTES], `cancelled-${transport}.bin`);
  const upload = new Upload(file, {
    url: server.url,
    token,
    transport,
    fingerprint: null,
    WebSocket: breakingSocket(finished),
    fetch: breakingFetch(finished),
  });
  await expect(upload.start()).rejects.toMatchObject({ code: "cancelled" });
  return { id: upload.id!, outcome: await outcome };
}

describe.skipIf(lacking)(`a real server${lacking ? ` (${lacking})` : ""}`, () => {
  test.each(["websocket", "http"] as const)("keeps no file, over %s", async (transport) => {
    const { id, outcome } = await cancelled(transport, server.token);
    expect(outcome).toBeUndefined();
    expect((await server.request("GET", `/v1/uploads/${id}`)).status).toBe(404);
    expect((await server.request("GET", `/v1/files/${id}`)).status).toBe(404);
  });

  test.each(["websocket", "http"] as const)(
    "keeps the file of a grant, which cannot delete, and says so, over %s",
    async (transport) => {
      const grant = { action: "upload", user_id: "admin", max_size: BYTES.length };
      const minted = await server.request("POST", "/v1/grants", grant);
      const { token } = (await minted.json()) as { token: string };
      const { id, outcome } = await cancelled(transport, token);
      expect(outcome).toMatchObject({
        code: "already-complete",
        message: expect.stringContaining("its file stays on the server") as string,
      });
      expect((await server.request("GET", `/v1/files/${id}`)).status).toBe(200);
    },
  );
});
