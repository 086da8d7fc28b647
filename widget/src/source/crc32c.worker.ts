/** The worker of `checksum.ts`: reads slices of blobs and returns one answer for each. */

import { loadCrc32c } from "./crc32c.js";
import { type Answer, type Job, summed } from "./sums.js";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Job>) => void) | null;
  postMessage(message: Answer): void;
};

const loaded = loadCrc32c();

scope.onmessage = async ({ data: { id, blob } }) => {
  try {
    const { data, crc32c } = await summed(blob, await loaded);
    release(data.buffer);
    scope.postMessage({ id, crc32c });
  } catch (error) {
    const { name, message } = error as Error;
    scope.postMessage({ id, error: { name, message } });
  }
};

/** Free the memory now. Otherwise up to 64 MiB accumulate until the garbage collector runs. */
function release(buffer: ArrayBuffer & { transfer?: (length: number) => unknown }): void {
  buffer.transfer?.(0);
}
