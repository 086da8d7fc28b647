import { describe, expect, test } from "vitest";

import type { ServerMessage } from "../../src/protocol/messages.js";
import { type Event, REF, Sender } from "../../src/protocol/sender.js";

const ID = "65f0c0ffee00000000000001";
const REQUEST = { name: "film.mp4", size: 25 };

const WELCOME: ServerMessage = { type: "welcome", window: 20, maxChunkSize: 10, heartbeat: 20 };

function openedWith(missing: Array<[number, number]>, state = "uploading"): ServerMessage {
  const left = missing.reduce((sum, [start, end]) => sum + end - start, 0);
  const upload = { id: ID, name: "film.mp4", size: 25, chunk_size: 10, upload_size: 25 - left };
  return { type: "opened", ref: REF, upload: { ...upload, missing, state } };
}

function problem(code: string, facts: object = {}): ServerMessage {
  return { type: "problem", ref: REF, problem: { code, ...facts } };
}

function refused(start: number, code: string): ServerMessage {
  return { type: "refused", ref: REF, start, problem: { code } };
}

function stored(...starts: number[]): ServerMessage {
  const pieces = starts.map((start) => [start, Math.min(10, 25 - start)] as const);
  return { type: "stored", ref: REF, pieces, uploadSize: 0 };
}

/** A sender whose upload of 25 bytes is open, with room for two pieces of ten. */
function opened(missing: Array<[number, number]> = [[0, 25]]): Sender {
  const sender = new Sender({ request: REQUEST }, "a token", "test/1");
  hear(sender, WELCOME, openedWith(missing));
  sender.outgoing();
  return sender;
}

function hear(sender: Sender, ...messages: ServerMessage[]): Event[] {
  return messages.flatMap((message) => sender.receive(message));
}

function codes(events: Event[]): string[] {
  return events.map((event) =>
    "error" in event ? `${event.type} ${event.error.code}` : event.type,
  );
}

describe("the greeting", () => {
  test("is HELLO and CREATE, without a pause between them", () => {
    const sender = new Sender({ request: REQUEST }, "a token", "test/1");
    expect(sender.outgoing()).toEqual([
      { type: "hello", token: "a token", client: "test/1" },
      { type: "create", ref: REF, request: REQUEST },
    ]);
    expect([sender.welcomed, sender.outgoing()]).toEqual([false, []]);
    hear(sender, WELCOME);
    expect([sender.welcomed, sender.heartbeat]).toEqual([true, 20]);
    expect(sender.outgoing()).toEqual([]);
  });

  test("sends RESUME for an upload with an id", () => {
    const sender = new Sender({ id: ID }, undefined, "test/1");
    hear(sender, WELCOME);
    expect(sender.outgoing().at(-1)).toEqual({ type: "resume", ref: REF, id: ID });
  });

  test("sends no piece before OPENED", () => {
    const sender = new Sender({ request: REQUEST }, undefined, "test/1");
    hear(sender, WELCOME);
    expect(sender.next()).toBeNull();
  });
});

describe("where pieces may come early", () => {
  const EARLY = { chunk_size: 10, window: 10 };

  test("they follow CREATE within the window that was agreed, and FINISH waits for OPENED", () => {
    const sender = new Sender({ request: REQUEST }, undefined, "test/1");
    sender.agree(EARLY);
    expect([sender.next(), sender.next(), sender.open]).toEqual([[0, 10], null, false]);
    hear(sender, { ...WELCOME, window: 100 });
    expect([sender.next(), sender.next(), sender.next()]).toEqual([[10, 20], [20, 25], null]);
    expect(sender.spent).toBe(false);
    expect(codes(hear(sender, openedWith([[0, 25]])))).toEqual(["opened"]);
    expect([sender.next(), sender.spent, sender.open]).toEqual([null, true, true]);
    sender.finish();
    expect(sender.outgoing().map(({ type }) => type)).toEqual(["hello", "create", "finish"]);
    expect(hear(sender, stored(0, 10, 20))).toHaveLength(3);
    expect([sender.inFlight, sender.finishing]).toEqual([0, true]);
  });

  test("OPENED does not ask for what is in flight", () => {
    const sender = new Sender({ request: REQUEST }, undefined, "test/1");
    sender.agree(EARLY);
    sender.next();
    hear(sender, { ...WELCOME, window: 10 }, openedWith([[0, 25]]));
    expect([sender.next(), sender.inFlight]).toEqual([null, 10]);
    hear(sender, stored(0));
    expect(sender.next()).toEqual([10, 20]);
  });

  test("a refused CREATE waits for the answers to its pieces", () => {
    const sender = new Sender({ request: REQUEST }, undefined, "test/1");
    sender.agree(EARLY);
    sender.next();
    expect(codes(hear(sender, WELCOME, problem("quota-exceeded")))).toEqual(["failed quota-exceeded"]);
    expect(sender.inFlight).toBe(10);
    hear(sender, refused(0, "quota-exceeded"));
    expect(sender.inFlight).toBe(0);
  });

  test("of a CREATE that may be repeated, a piece that came too late is no other failure", () => {
    const sender = new Sender({ request: REQUEST }, undefined, "test/1");
    sender.agree(EARLY);
    sender.next();
    hear(sender, WELCOME);
    expect(codes(hear(sender, problem("shutting-down")))).toEqual(["failed shutting-down"]);
    sender.leave();
    expect(hear(sender, problem("not-found", { slice_start: 0 }))).toEqual([]);
    expect(sender.inFlight).toBe(0);
  });

  test.each([
    { id: ID },
    { request: { name: "stream", size: null } },
    { request: { name: "empty", size: 0 } },
    { request: { ...REQUEST, chunk_size: 10 } },
  ])("what is not known yet waits for OPENED: %o", (entry) => {
    const sender = new Sender(entry, undefined, "test/1");
    sender.agree(EARLY);
    hear(sender, WELCOME);
    expect([sender.next(), sender.spent, sender.open]).toEqual([null, false, false]);
  });
});

describe("pieces", () => {
  test("stay within the window, which answers free again", () => {
    const sender = opened();
    expect([sender.next(), sender.next(), sender.next()]).toEqual([[0, 10], [10, 20], null]);
    expect(hear(sender, stored(10))).toEqual([{ type: "stored", start: 10, size: 10 }]);
    expect([sender.next(), sender.next()]).toEqual([[20, 25], null]);
  });

  test("follow a window that shrinks and grows", () => {
    const sender = opened();
    hear(sender, { type: "window", bytes: 0 });
    expect(sender.next()).toBeNull();
    hear(sender, { type: "window", bytes: 100 });
    expect([sender.next(), sender.next(), sender.next()]).toEqual([
      [0, 10],
      [10, 20],
      [20, 25],
    ]);
  });

  test("may be answered in any order, in batches and twice", () => {
    const sender = opened();
    sender.next();
    sender.next();
    expect(hear(sender, stored(10, 0), stored(0))).toHaveLength(2);
    expect(sender.pieces?.stored).toBe(20);
  });

  test("cover the missing ranges", () => {
    const sender = opened([[20, 25]]);
    expect([sender.next(), sender.next()]).toEqual([[20, 25], null]);
    expect(sender.pieces?.stored).toBe(20);
  });

  test("that arrived damaged are sent again, five times at most", () => {
    const sender = opened();
    for (let times = 0; times < 5; times++) {
      expect(sender.next()).toEqual([0, 10]);
      expect(hear(sender, refused(0, "checksum-mismatch"))).toEqual([]);
    }
    sender.next();
    expect(codes(hear(sender, refused(0, "checksum-mismatch")))).toEqual([
      "failed checksum-mismatch",
    ]);
  });

  test("that are refused for another reason fail the attempt", () => {
    const sender = opened();
    sender.next();
    expect(codes(hear(sender, refused(0, "storage-full")))).toEqual(["failed storage-full"]);
    expect(sender.inFlight).toBe(0);
  });

  test("of an upload that ended elsewhere free the window", () => {
    const sender = opened();
    sender.next();
    expect(codes(hear(sender, problem("not-found", { slice_start: 0 })))).toEqual([
      "failed not-found",
    ]);
    expect(sender.inFlight).toBe(0);
  });
});

describe("the end", () => {
  function whole(): Sender {
    const sender = opened([[20, 25]]);
    sender.next();
    hear(sender, stored(20));
    expect(sender.spent).toBe(true);
    sender.finish();
    return sender;
  }

  test("is sent once everything is stored", () => {
    const sender = whole();
    expect(sender.outgoing()).toEqual([{ type: "finish", ref: REF, size: 25, sha256: undefined }]);
    expect([sender.spent, sender.finishing]).toEqual([false, true]);
  });

  test("is not sent while anything is left to send", () => {
    const sender = opened();
    while (sender.next() !== null);
    expect(sender.spent).toBe(false);
  });

  test("may follow the last piece before it is stored", () => {
    const sender = opened([[10, 25]]);
    while (sender.next() !== null);
    expect([sender.spent, sender.inFlight]).toEqual([true, 15]);
    sender.finish();
    hear(sender, stored(10, 20));
    expect([sender.finishing, sender.inFlight]).toEqual([true, 0]);
  });

  test("comes again behind a piece that arrived damaged after it", () => {
    const sender = opened([[10, 25]]);
    while (sender.next() !== null);
    sender.finish();
    expect(hear(sender, refused(10, "checksum-mismatch"), stored(20))).toEqual([
      { type: "stored", start: 20, size: 5 },
    ]);
    expect([sender.finishing, sender.next(), sender.spent]).toEqual([false, [10, 20], true]);
    // The answer to the first FINISH: the piece is on its way already.
    expect(hear(sender, problem("incomplete", { missing: [[10, 20]] }))).toEqual([]);
    expect([sender.next(), sender.spent]).toEqual([null, true]);
    sender.finish();
    expect(sender.outgoing().map(({ type }) => type)).toEqual(["finish", "finish"]);
  });

  test("of an empty file comes at once", () => {
    expect(opened([]).spent).toBe(true);
  });

  test("is followed by VERIFYING and COMPLETE", () => {
    const file = { id: ID, size: 25, mime_type: "video/mp4", sha256: null, crc32c: 1, url: "/f" };
    const events = hear(
      whole(),
      { type: "verifying", ref: REF, done: 10, total: 25 },
      { type: "complete", ref: REF, file },
    );
    expect(events).toEqual([
      { type: "verifying", done: 10, total: 25 },
      { type: "complete", file },
    ]);
  });

  test("is undone when the server reports missing ranges", () => {
    const sender = whole();
    expect(hear(sender, problem("incomplete", { missing: [[10, 20]] }))).toEqual([]);
    expect([sender.finishing, sender.next()]).toEqual([false, [10, 20]]);
  });

  test("fails when the server reports no ranges with `incomplete`", () => {
    expect(codes(hear(whole(), problem("incomplete")))).toEqual(["failed incomplete"]);
  });

  test("is not sent for a finished upload", () => {
    const sender = new Sender({ id: ID }, undefined, "test/1");
    hear(sender, WELCOME, openedWith([], "ready"));
    expect([sender.spent, sender.finishing]).toEqual([false, true]);
  });

  test("by ABORT sends no more pieces, and CLOSED confirms it", () => {
    const sender = opened();
    sender.abort();
    expect(sender.outgoing()).toEqual([{ type: "abort", ref: REF }]);
    expect([sender.next(), sender.open]).toEqual([null, false]);
    expect(codes(hear(sender, { type: "closed", ref: REF }))).toEqual(["closed"]);
  });
});

describe("the connection", () => {
  test("sends no pieces after GOAWAY, and processes answers to those in flight", () => {
    const sender = opened();
    sender.next();
    const away = hear(sender, { type: "goaway", reason: "restart", retryAfter: 2 });
    expect(away).toEqual([{ type: "away", retryAfter: 2 }]);
    expect([sender.next(), hear(sender, stored(0))[0]?.type]).toEqual([null, "stored"]);
  });

  test("still waits for COMPLETE after GOAWAY", () => {
    const sender = opened([]);
    sender.finish();
    hear(sender, { type: "goaway", reason: "restart", retryAfter: 2 });
    expect(sender.finishing).toBe(true);
  });

  test("sends no pieces after a PROBLEM without ref", () => {
    const sender = opened();
    const said: ServerMessage = { type: "problem", ref: null, problem: { code: "unauthorized" } };
    expect(codes(hear(sender, said))).toEqual(["parting unauthorized"]);
    expect(sender.next()).toBeNull();
  });

  test("ignores messages with another ref", () => {
    expect(hear(opened(), { type: "closed", ref: REF + 1 })).toEqual([]);
  });

  test("sends pings and new tokens", () => {
    const sender = opened();
    sender.ping();
    sender.token("another");
    sender.ping();
    expect(sender.outgoing()).toEqual([
      { type: "ping", nonce: 1 },
      { type: "token", token: "another" },
      { type: "ping", nonce: 2 },
    ]);
  });
});
