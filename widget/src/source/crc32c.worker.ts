/** The worker of `checksum.ts`: reads blobs and returns one answer for each. */

import { loadCrc32c } from "./crc32c.js";
import { sha256Of } from "./digest.js";
import { type Answer, type Job, type Stop, summed } from "./sums.js";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Job | Stop>) => void) | null;
  postMessage(message: Answer): void;
};

const loaded = loadCrc32c();
/** The digests that are being computed. Between two slices the sums of pieces have their turn. */
const digests = new Map<number, AbortController>();

scope.onmessage = async ({ data: job }) => {
  if ("stop" in job) return digests.get(job.stop)?.abort();
  try {
    scope.postMessage(await (job.sum === "sha256" ? digest(job) : sum(job)));
  } catch (error) {
    const { name, message } = error as Error;
    scope.postMessage({ id: job.id, error: { name, message } });
  }
};

async function sum({ id, blob }: Job): Promise<Answer> {
  const { data, crc32c } = await summed(blob, await loaded);
  release(data.buffer);
  return { id, crc32c };
}

async function digest({ id, blob }: Job): Promise<Answer> {
  const over = new AbortController();
  digests.set(id, over);
  try {
    return { id, sha256: await sha256Of(blob, over.signal) };
  } finally {
    digests.delete(id);
  }
}

/** Free the memory now. Otherwise up to 64 MiB accumulate until the garbage collector runs. */
function release(buffer: ArrayBuffer & { transfer?: (length: number) => unknown }): void {
  buffer.transfer?.(0);
}
