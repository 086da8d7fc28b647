/**
 * Reads slices of blobs and sums them, off the page's main thread.
 *
 * Owns the conversation with `checksum.ts`, which asks and is answered once for each slice.
 */

import { loadCrc32c } from "./crc32c.js";
import { type Answer, type Job, sealed } from "./seal.js";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Job>) => void) | null;
  postMessage(message: Answer, transfer: Transferable[]): void;
};

const loaded = loadCrc32c();

scope.onmessage = async ({ data: { id, blob, room } }) => {
  try {
    const piece = await sealed(blob, room, await loaded);
    scope.postMessage({ id, piece }, [piece.buffer.buffer]);
  } catch (error) {
    const { name, message } = error as Error;
    scope.postMessage({ id, error: { name, message } }, []);
  }
};
