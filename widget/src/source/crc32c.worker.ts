/** The worker of `checksum.ts`: reads blobs and pieces of them, and returns one answer for each. */

import { loadCrc32c } from "./crc32c.js";
import { sha256Of } from "./digest.js";
import { Reading } from "./reading.js";
import { type Answer, type Close, type Job, type Open, type PieceJob, type Stop, type SumJob, summed } from "./sums.js";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Job | Open | Close | Stop>) => void) | null;
  postMessage(message: Answer, transfer?: Transferable[]): void;
};

const loaded = loadCrc32c();
/** The digests that are being computed. Between two slices the sums of pieces have their turn. */
const digests = new Map<number, AbortController>();
const readings = new Map<number, Reading>();

scope.onmessage = async ({ data: job }) => {
  if ("stop" in job) return digests.get(job.stop)?.abort();
  if ("open" in job) return void readings.set(job.open, new Reading(job.blob, () => loaded));
  if ("close" in job) return close(job.close);
  try {
    if ("piece" in job) return await piece(job);
    scope.postMessage(await (job.sum === "sha256" ? digest(job) : sum(job)));
  } catch (error) {
    const { name, message } = error as Error;
    scope.postMessage({ id: job.id, error: { name, message } });
  }
};

async function piece({ id, piece, start, end, buffer }: PieceJob): Promise<void> {
  const filled = await readings.get(piece)!.piece(start, end, buffer);
  scope.postMessage({ id, ...filled }, [filled.buffer]);
}

function close(opened: number): void {
  readings.get(opened)?.close();
  readings.delete(opened);
}

async function sum({ id, blob }: SumJob): Promise<Answer> {
  const { data, crc32c } = await summed(blob, await loaded);
  release(data.buffer);
  return { id, crc32c };
}

async function digest({ id, blob }: SumJob): Promise<Answer> {
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
