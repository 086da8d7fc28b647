import { describe, expect, test } from "vitest";

import { until, when } from "../support/helpers.js";
import { refuse } from "../support/peer.js";
import {
  at,
  begun,
  code,
  CREATE,
  FILE,
  FINISH,
  peer,
  RESUME,
  uploadOf,
} from "../support/uploads.js";

describe("cancelling", () => {
  test("before the start sends no request", async () => {
    const upload = uploadOf();
    await upload.cancel();
    expect([upload.state, peer.heard]).toEqual(["cancelled", []]);
    await expect(upload.start()).rejects.toEqual(code("cancelled"));
  });

  test("while paused deletes by plain HTTP", async () => {
    const { upload } = begun();
    await when(upload, 10, () => upload.pause());
    await upload.cancel();
    expect([peer.count("DELETE"), peer.uploads.size]).toEqual([1, 0]);
  });

  test("before CREATE is answered finds and deletes the upload", async () => {
    at(CREATE, 1, (_, [, , request]) => void peer.create(request as Record<string, unknown>));
    const { upload } = begun();
    await until(() => peer.count("CREATE"));
    await upload.cancel();
    expect(peer.uploads.size).toBe(0);
  });

  test("while the server verifies deletes the finished file", async () => {
    peer.look = ([number], socket) => {
      if (number !== FINISH) return number === RESUME;
      socket.upload!.state = "ready";
      socket.drop();
      return true;
    };
    const { upload } = begun(FILE, { fingerprint: null });
    await until(() => peer.count("RESUME"));
    await upload.cancel();
    expect([peer.count("DELETE /v1/files"), peer.uploads.size]).toEqual([1, 0]);
  });

  test("reports that the file stays if the credential cannot delete it", async () => {
    const kept = peer.create({ name: "film.mp4", size: 47 });
    kept.state = "ready";
    peer.answer = (method, path) =>
      method === "DELETE" && path.startsWith("/v1/files") ? refuse(403, "forbidden") : undefined;
    peer.look = ([number]) => number === RESUME;
    const { upload } = begun(FILE, { id: kept.id });
    await until(() => peer.count("RESUME"));
    await expect(upload.cancel()).rejects.toEqual(code("already-complete"));
    expect([peer.count("DELETE"), peer.uploads.size]).toEqual([2, 1]);
  });

  test("is retried while the server is unavailable", async () => {
    const { upload } = begun();
    await when(upload, 10, () => upload.pause());
    let refusals = 0;
    peer.answer = (method) =>
      method === "DELETE" && refusals++ < 3
        ? refuse(503, "unavailable", { retryable: true })
        : undefined;
    await upload.cancel();
    expect([refusals, peer.uploads.size]).toEqual([4, 0]);
  });

  test("does nothing to a finished upload", async () => {
    const { upload, end } = begun();
    await end;
    await upload.cancel();
    expect([upload.state, peer.uploads.size]).toEqual(["done", 1]);
  });
});
