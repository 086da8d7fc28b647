import { describe, expect, test } from "vitest";

import { type Peer, refuse } from "../support/peer.js";
import { begun, BYTES, code, FILE, peer } from "../support/uploads.js";

describe("the way", () => {
  const blocked = class {
    constructor() {
      throw new DOMException("Refused to connect: it violates the policy", "SecurityError");
    }
  } as unknown as Peer["WebSocket"];

  test("is plain HTTP where a policy forbids WebSocket", async () => {
    await begun(FILE, { WebSocket: blocked }).end;
    expect([peer.count("PUT"), peer.bytes]).toEqual([5, BYTES]);
  });

  test("is plain HTTP where a proxy blocks WebSocket", async () => {
    const { WebSocket } = peer;
    const dropping = class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        queueMicrotask(() => this.drop());
        this.onopen = null;
        Object.defineProperty(this, "onopen", { set: () => undefined, get: () => null });
      }
    };
    await begun(FILE, { WebSocket: dropping }).end;
    expect([peer.count("PUT"), peer.bytes]).toEqual([5, BYTES]);
  });

  test("stays WebSocket with `transport: websocket`", async () => {
    const { end } = begun(FILE, { WebSocket: blocked, transport: "websocket", patience: 0 });
    await expect(end).rejects.toEqual(code("network"));
    expect(peer.count("PUT")).toBe(0);
  });

  test("sends refused HTTP pieces again later", async () => {
    let refusals = 0;
    peer.answer = (method) =>
      method === "PUT" && refusals++ < 2
        ? refuse(507, "storage-full", { retryable: true })
        : undefined;
    await begun(FILE, { transport: "http" }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("sends damaged HTTP pieces again", async () => {
    let damaged = 0;
    peer.answer = (method) =>
      method === "PUT" && damaged++ < 1 ? refuse(422, "checksum-mismatch") : undefined;
    await begun(FILE, { transport: "http" }).end;
    expect([peer.bytes, peer.count("POST /v1/uploads")]).toEqual([BYTES, 2]);
  });
});
