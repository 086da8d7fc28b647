/** Uploads to the fake server, and what the tests need around them. */

import { beforeEach, expect } from "vitest";

import { Upload, type UploadOptions } from "../../src/index.js";
import type { Uploadable } from "../../src/source/source.js";
import { someBytes } from "./helpers.js";
import { Peer } from "./peer.js";

export const BYTES = someBytes(47);
export const FILE = new File([BYTES], "film.mp4", { lastModified: 1_700_000_000_000 });

/** The fake server: a new one for each test. */
export let peer: Peer;
beforeEach(() => {
  peer = new Peer();
});

export function uploadOf(source: Uploadable = FILE, options: Partial<UploadOptions> = {}): Upload {
  const { url, WebSocket, fetch } = peer;
  return new Upload(source, { url, WebSocket, fetch, random: () => 0, ...options });
}

/** A started upload, with the states and the progress that it reports. */
export function begun(source?: Uploadable, options?: Partial<UploadOptions>) {
  const upload = uploadOf(source, options);
  const states: string[] = [];
  const progress: number[] = [];
  upload.on("state", (state) => states.push(state));
  upload.on("progress", ({ stored }) => progress.push(stored));
  return { upload, states, progress, end: upload.start() };
}

/** The fake server's `fetch`, which loses the answer of the first POST. */
export function losingFirstPost(): typeof fetch {
  let lost = false;
  return async (address, init) => {
    const answer = await peer.fetch(address, init);
    if (lost || init?.method !== "POST") return answer;
    lost = true;
    throw new TypeError("Failed to fetch");
  };
}

/** At the n-th message with this number, call `act` instead of the fake's own answer. */
export function at(
  number: number,
  nth: number,
  act: (socket: Peer["socket"], items: unknown[]) => void,
): void {
  let seen = 0;
  peer.look = (items, socket) => {
    if (items[0] !== number || ++seen !== nth) return false;
    act(socket, items);
    return true;
  };
}

export const [CREATE, RESUME, CHUNK, FINISH, PING] = [2, 3, 4, 5, 9];

export function code(expected: string) {
  return expect.objectContaining({ code: expected }) as unknown;
}
