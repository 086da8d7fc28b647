import { describe, expect, test } from "vitest";

import { type Avoided, AVOIDED, Route } from "../../src/transport/route.js";
import { type Peer, refuse } from "../support/peer.js";
import { begun, BYTES, CHUNK, code, FILE, peer } from "../support/uploads.js";

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
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
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

describe("a proxy that swallows what a WebSocket sends", () => {
  test.each([
    ["everything", () => true],
    ["pieces", (number: number) => number === CHUNK],
  ])("swallows %s: after two attempts plain HTTP is used", async (_, swallows) => {
    peer.look = ([number]) => swallows(number);
    const sleep = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, milliseconds / 1000));
    await begun(FILE, { sleep }).end;
    expect([peer.sockets.length, peer.count("PUT"), peer.bytes]).toEqual([2, 5, BYTES]);
    // The next file does not wait again.
    await begun(new File([BYTES], "next.mp4"), { sleep }).end;
    expect(peer.sockets.length).toBe(2);
  });

  function routeAt(time: { now: number }, avoided: Avoided = new Map()): Route {
    return new Route("auto", true, "http://peer.test", () => time.now, avoided);
  }

  function swallow(route: Route, times: number): void {
    for (let each = 0; each < times; each++) {
      route.opened();
      route.lostServer();
    }
  }

  test("WebSocket is tried again ten minutes later, and at once when HTTP fails, too", () => {
    const time = { now: 1_000_000 };
    const route = routeAt(time);
    swallow(route, 2);
    expect(route.transportNow).toBe("http");
    time.now += AVOIDED;
    expect(route.transportNow).toBe("websocket");
    swallow(route, 2);
    route.lostServer();
    expect(route.transportNow).toBe("websocket");
  });

  test("an interruption after progress counts for nothing", () => {
    const route = routeAt({ now: 0 });
    for (let each = 0; each < 5; each++) {
      swallow(route, 1);
      route.progressed();
    }
    expect(route.transportNow).toBe("websocket");
  });

  test("other servers are not concerned", () => {
    const avoided: Avoided = new Map();
    swallow(routeAt({ now: 1 }, avoided), 2);
    expect(routeAt({ now: 1 }, avoided).transportNow).toBe("http");
    const other = new Route("auto", true, "http://other.test", () => 1, avoided);
    expect(other.transportNow).toBe("websocket");
  });
});
