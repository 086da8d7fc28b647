/** Files of a kind that has a directory of its own: they are looked for where the server puts them. */

import { expect, test } from "vitest";

import { Batch } from "../../src/index.js";
import { settle, when } from "../support/helpers.js";
import { begun, BYTES, FILE, losingFirstPost, peer } from "../support/uploads.js";

test.each([{}, { direct: true }])("an unfinished one is resumed with %j", async (options) => {
  peer.kinds.set("avatar", "avatars").set("film", null);
  const first = begun(FILE, { kind: "avatar", directory: "mine" });
  await when(first.upload, 10, () => first.upload.pause());
  await settle();
  const { upload, end } = begun(FILE, { kind: "avatar", directory: "mine", ...options });
  await end;
  expect([upload.id, peer.uploads.size, peer.bytes]).toEqual([first.upload.id, 1, BYTES]);
});

test("of a kind without a directory the uploader's counts", async () => {
  peer.kinds.set("film", null);
  const first = begun(FILE, { kind: "film", directory: "mine" });
  await when(first.upload, 10, () => first.upload.pause());
  await settle();
  const { upload, end } = begun(FILE, { kind: "film", directory: "yours" });
  await end;
  expect([upload.id === first.upload.id, peer.uploads.size]).toEqual([false, 2]);
});

test("a small one whose answer was lost is found", async () => {
  peer.kinds.set("avatar", "avatars");
  await begun(FILE, { kind: "avatar", small: 100, fetch: losingFirstPost() }).end;
  expect(peer.uploads.size).toBe(1);
});

test("a batch does not send again what is there, and asks for the kinds once", async () => {
  peer.kinds.set("avatar", "avatars");
  const { url, WebSocket, fetch } = peer;
  const files = ["a", "b", "c"].map((name) => ({ file: new File([name], name), kind: "avatar" }));
  for (const skipped of [0, 3]) {
    const batch = new Batch({ url, WebSocket, fetch, random: () => 0 });
    batch.add(files);
    expect(await batch.settled()).toMatchObject({ done: 3, failed: 0, skipped });
  }
  expect([peer.uploads.size, peer.count("GET /v1/kinds")]).toEqual([3, 2]);
  expect([...peer.uploads.values()].map(({ request }) => request["kind"])).toEqual(Array(3).fill("avatar"));
});
