import { describe, expect, test, vi } from "vitest";

import { type Manifest } from "../../src/index.js";
import { TABLES } from "../../src/protocol/tables.js";
import { Clock, settle, until, when } from "../support/helpers.js";
import {
  at,
  begun,
  BYTES,
  CHUNK,
  code,
  CREATE,
  FILE,
  FINISH,
  peer,
  RESUME,
} from "../support/uploads.js";

describe("over WebSocket", () => {
  test("the window limits the bytes in flight", async () => {
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun();
    await until(() => peer.count("CHUNK") === 2);
    await settle();
    expect(peer.count("CHUNK")).toBe(2);
    await upload.cancel();
  });

  test("pieces wait for no answer where the server agreed to that, and FINISH does", async () => {
    peer.subprotocol = TABLES.early.subprotocol;
    peer.chunkSize = TABLES.early.chunk_size;
    peer.look = ([number]) => number === CREATE || number === CHUNK;
    const { upload } = begun();
    await until(() => peer.count("CHUNK") === 1);
    await settle();
    expect(peer.heard.slice(-3)).toEqual(["HELLO", "CREATE", "CHUNK"]);
    await upload.cancel();
  });

  test("an upload that the server cannot open now is tried again, whatever became of its pieces", async () => {
    peer.subprotocol = TABLES.early.subprotocol;
    peer.chunkSize = TABLES.early.chunk_size;
    let refusing = true;
    peer.look = ([number, , start], socket) => {
      if (!refusing || (number !== CREATE && number !== CHUNK)) return false;
      if (number === CHUNK) {
        refusing = false;
        socket.problem(0, "shutting-down", { retryable: true });
        socket.problem(0, "not-found", { slice_start: start });
      }
      return true;
    };
    await begun().end;
    expect([peer.count("CREATE"), peer.bytes]).toEqual([2, BYTES]);
  });

  test("a file whose pieces came early arrives", async () => {
    peer.subprotocol = TABLES.early.subprotocol;
    peer.chunkSize = TABLES.early.chunk_size;
    await begun().end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("bytes count as stored when they are acknowledged, not when they are sent", async () => {
    peer.look = ([number]) => number === CHUNK;
    const { upload } = begun();
    await until(() => peer.count("CHUNK") === 2);
    await settle();
    expect([upload.stored, upload.state]).toEqual([0, "uploading"]);
  });

  test("a socket that sends later what it was given has buffers that are not used again", async () => {
    class Late extends peer.WebSocket {
      override send(data: Uint8Array<ArrayBuffer>): void {
        setTimeout(() => super.send(data), 20);
      }
    }
    await begun(FILE, { WebSocket: Late }).end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("the browser's own WebSocket copies at once what it is given", async () => {
    class Native extends peer.WebSocket {
      override send(data: Uint8Array<ArrayBuffer>): void {
        super.send(data.slice());
      }
    }
    vi.stubGlobal("WebSocket", Native);
    try {
      await begun(FILE, { WebSocket: undefined }).end;
    } finally {
      vi.unstubAllGlobals();
    }
    expect(peer.bytes).toEqual(BYTES);
  });

  test("a piece waits while the socket's buffer is full", async () => {
    const clock = new Clock();
    peer.look = ([number], socket) => void (number === CREATE && (socket.bufferedAmount = 5e6));
    const { upload, end } = begun(FILE, { ...clock });
    await until(() => upload.state === "uploading");
    await clock.advance(2000);
    expect(peer.count("CHUNK")).toBe(0);
    peer.socket.bufferedAmount = 0;
    await clock.advance(1000);
    await end;
    expect(peer.bytes).toEqual(BYTES);
  });

  test("the upload is done only after COMPLETE", async () => {
    peer.look = ([number]) => number === FINISH;
    const { upload } = begun();
    await until(() => peer.count("FINISH"));
    await settle();
    expect([upload.stored, upload.state]).toEqual([47, "verifying"]);
    peer.socket.say(70, 0, peer.file(peer.socket.upload!));
    await until(() => upload.state === "done");
  });

  test.each([1001, 1006, 1011, 1012])(
    "the client reconnects after close code %i",
    async (end) => {
      at(CHUNK, 3, (socket) => socket.drop(end));
      await begun().end;
      expect([peer.count("CREATE"), peer.count("RESUME")]).toEqual([1, 1]);
      expect(peer.bytes).toEqual(BYTES);
    },
  );

  test("an upload whose CREATE was not answered is found, not created twice", async () => {
    at(CREATE, 1, (socket, [, , request]) => {
      peer.create(request as Record<string, unknown>);
      socket.drop();
    });
    await begun().end;
    expect([peer.uploads.size, peer.count("RESUME")]).toEqual([1, 1]);
  });

  test("a stream whose CREATE was not answered is found as well", async () => {
    at(CREATE, 1, (socket, [, , request]) => {
      peer.create(request as Record<string, unknown>).size = null;
      socket.drop();
    });
    const stream = new Blob([BYTES]).stream();
    await begun(stream, { name: "recording.webm" }).end;
    expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
  });

  test("a stream resumes after the connection was lost", async () => {
    at(CHUNK, 3, (socket) => socket.drop());
    const stream = new Blob([BYTES]).stream();
    await begun(stream, { name: "recording.webm" }).end;
    expect([peer.count("RESUME"), peer.bytes]).toEqual([1, BYTES]);
  });

  test("at most the window and one piece of a stream are read ahead", async () => {
    peer.look = ([number]) => number === CHUNK;
    let read = 0;
    async function* blocks() {
      for (;;) {
        read += 5;
        yield new Uint8Array(5);
        await Promise.resolve();
      }
    }
    const { upload } = begun(blocks(), { name: "endless" });
    await until(() => peer.count("CHUNK") === 2);
    await settle();
    expect(read).toBeLessThanOrEqual(20 + 10 + 5);
    await upload.cancel();
  });

  test("a damaged piece is sent again", async () => {
    at(CHUNK, 2, (socket, [, , start]) => socket.refuse(start as number, "checksum-mismatch"));
    await begun().end;
    expect([peer.count("CHUNK"), peer.bytes]).toEqual([6, BYTES]);
  });

  test("the client reconnects after GOAWAY", async () => {
    at(CHUNK, 2, (socket) => {
      socket.say(73, { reason: "restart", retry_after: 0 });
      socket.drop(1012);
    });
    await begun().end;
    expect([peer.count("RESUME"), peer.bytes]).toEqual([1, BYTES]);
  });

  test("a conflict leads to RESUME, three times at most", async () => {
    peer.look = ([number, , start], socket) => {
      if (number !== CHUNK) return false;
      socket.refuse(start as number, "chunk-conflict");
      return true;
    };
    await expect(begun().end).rejects.toEqual(code("chunk-conflict"));
    expect(peer.count("RESUME")).toBe(3);
  });

  test("an upload that expired is replaced by a new one, once", async () => {
    at(CHUNK, 2, (socket, [, , start]) => socket.refuse(start as number, "gone"));
    await begun().end;
    expect(peer.count("CREATE")).toBe(2);
  });

  test("a wrong digest leads to a new upload, once", async () => {
    peer.look = ([number], socket) => {
      if (number === FINISH) socket.problem(0, "checksum-mismatch");
      return number === FINISH;
    };
    await expect(begun(FILE, { sha256: "0".repeat(64) }).end).rejects.toEqual(
      code("checksum-mismatch"),
    );
    expect([peer.count("CREATE"), peer.count("DELETE")]).toEqual([2, 1]);
  });

  test("a permanent refusal is reported with its facts", async () => {
    at(CREATE, 1, (socket) => socket.problem(0, "quota-exceeded", { limit: 40, used: 10 }));
    const { upload, end } = begun();
    const reported: unknown[] = [];
    upload.on("error", (error) => reported.push(error));
    await expect(end).rejects.toMatchObject({
      code: "quota-exceeded",
      facts: { limit: 40, used: 10 },
    });
    expect(reported).toEqual([upload.lastError]);
    expect(upload.state).toBe("failed");
  });

  test("a failed upload can be started again", async () => {
    at(CREATE, 1, (socket) => socket.problem(0, "quota-exceeded"));
    const { upload, end } = begun();
    await expect(end).rejects.toThrow();
    await upload.start();
    expect(peer.bytes).toEqual(BYTES);
  });

  test("invalid messages fail the upload after some attempts", async () => {
    peer.look = ([number], socket) => {
      if (number === CREATE) socket.say(99);
      return number === CREATE;
    };
    await expect(begun().end).rejects.toEqual(code("invalid-message"));
    expect(peer.sockets.length).toBe(6);
  });

  test("two clients with the same file share one upload, and both finish", async () => {
    const first = begun();
    let second: Promise<Manifest> | undefined;
    let held = true;
    // The first client cannot finish until the second has found the upload.
    peer.look = ([number]) => {
      if (number === RESUME) held = false;
      return number === FINISH && held;
    };
    await when(first.upload, 10, () => (second = begun().end));
    await until(() => !held);
    peer.sockets[0]?.drop();
    expect((await first.end).id).toBe((await second)?.id);
    expect([peer.uploads.size, peer.bytes]).toEqual([1, BYTES]);
  });

  test("a token is replaced before it expires", async () => {
    const now = 1_700_000_000_000;
    const jwt = (expiry: number): string => `h.${btoa(JSON.stringify({ exp: expiry / 1000 }))}.s`;
    const reasons: string[] = [];
    const token = (reason: string): string => {
      reasons.push(reason);
      return jwt(now + (reasons.length === 1 ? 70_000 : 36_000_000));
    };
    peer.look = ([number]) => number === FINISH;
    // Only the sleep until 30 s before the expiry ends.
    const sleep = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => (milliseconds === 40_000 ? resolve() : undefined));
    const { upload } = begun(FILE, { token, sleep, now: () => now });
    await until(() => peer.count("TOKEN"));
    expect(reasons).toEqual(["first", "expiring"]);
    expect(peer.sockets.length).toBe(1);
    upload.pause();
  });
});
