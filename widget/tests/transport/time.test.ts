import { describe, expect, test } from "vitest";

import { Clock, Plug, settle, until } from "../support/helpers.js";
import { type Peer, refuse } from "../support/peer.js";
import { at, begun, BYTES, CHUNK, code, FILE, peer, PING } from "../support/uploads.js";

describe("time", () => {
  test("PING is sent when the connection is idle, and silence ends the connection", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === CHUNK || number === PING;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(19_000);
    expect(peer.count("PING")).toBe(0);
    await clock.advance(2_000);
    expect(peer.count("PING")).toBe(1);
    await clock.advance(41_000);
    expect([peer.sockets.length, peer.sockets[0]?.closed]).toEqual([2, true]);
    expect(upload.lastError?.code).toBe("network");
    await upload.cancel();
  });

  test("the heartbeat of WELCOME counts from the start", async () => {
    const clock = new Clock();
    peer.heartbeat = 2;
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(10_000);
    expect([peer.count("PING"), peer.sockets.length]).toEqual([5, 1]);
    await upload.cancel();
  });

  test("answers of the server keep the connection", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(100_000);
    expect(peer.sockets.length).toBe(1);
    expect(peer.count("PING")).toBe(5);
    await upload.cancel();
  });

  test("pieces that nobody answers end the connection, although pings are answered", async () => {
    const clock = new Clock();
    let swallows = true;
    peer.look = ([number]) => swallows && number === CHUNK;
    const { end } = begun(FILE, { ...clock });
    await until(() => peer.count("CHUNK") === 2);
    await clock.advance(110_000);
    swallows = false;
    await clock.advance(40_000);
    await end;
    expect([peer.sockets.length, peer.bytes]).toEqual([2, BYTES]);
  });

  test("a server that sends no WELCOME is given up after 10 s", async () => {
    const clock = new Clock();
    peer.look = ([number]) => number === 1;
    const { upload } = begun(FILE, { ...clock, transport: "websocket" });
    await until(() => peer.count("HELLO"));
    await clock.advance(11_000);
    expect(peer.count("HELLO")).toBe(2);
    void upload.cancel();
  });

  test("without progress, patience runs out", async () => {
    const clock = new Clock();
    const fetch = (): Promise<Response> => Promise.reject(new TypeError("Failed to fetch"));
    const { upload, end } = begun(FILE, { ...clock, fetch, patience: 60 });
    let failed = false;
    end.catch(() => (failed = true));
    await until(() => upload.lastError);
    await clock.advance(20_000);
    expect([failed, upload.state, upload.lastError?.code]).toEqual([
      false,
      "connecting",
      "network",
    ]);
    await clock.advance(80_000);
    await expect(end).rejects.toEqual(code("network"));
  });

  test("an offline client waits without limit, and then continues", async () => {
    const clock = new Clock();
    const network = new Plug();
    at(CHUNK, 3, () => network.set(false));
    const { upload, states, end } = begun(FILE, { ...clock, network, patience: 1 });
    await until(() => upload.state === "offline");
    expect(upload.lastError?.code).toBe("network");
    const { fetch } = peer;
    Object.assign(peer, { look: (_: unknown, socket: Peer["socket"]) => (socket.drop(), true) });
    await clock.advance(600_000);
    expect(upload.state).toBe("offline");
    Object.assign(peer, { fetch, look: () => false });
    network.set(true);
    await settle();
    await end;
    expect(peer.bytes).toEqual(BYTES);
    expect(states.slice(0, 4)).toEqual(["connecting", "uploading", "offline", "connecting"]);
  });

  test("pause ends a wait, and resume tries at once", async () => {
    const clock = new Clock();
    const { fetch } = peer;
    peer.answer = () => refuse(503, "unavailable", { retryable: true });
    const { upload, end } = begun(FILE, { ...clock, fetch });
    await until(() => upload.lastError !== null);
    upload.pause();
    peer.answer = () => undefined;
    await clock.advance(30_000);
    expect(upload.state).toBe("paused");
    upload.resume();
    await end;
  });
});
