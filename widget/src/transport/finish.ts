/**
 * Have an upload verified and published. Source: docs/http-api.md, "Files that take long to verify".
 */

import { hasCode } from "../protocol/errors.js";
import { type CompleteFile, completeFile } from "../protocol/messages.js";
import type { Api, Json } from "./http.js";

/** Milliseconds that a server of an older version may take: it answers when everything is verified. */
const FINISHING = 3_600_000;
/** Proxies give up on an answer that takes longer than some 30 seconds. */
const COMES_BACK = { Prefer: "respond-async, wait=5" };

export interface Finishing {
  readonly json?: unknown;
  readonly signal: AbortSignal;
  /** Called with the number of bytes that are verified so far. */
  readonly verifying: (done: number) => void;
}

/** The finished file. `path` ends in `/finish` or `/finalize`. */
export async function finish(api: Api, path: string, { json, signal, verifying }: Finishing): Promise<CompleteFile> {
  const request = { json, signal, timeout: FINISHING };
  let headers: Readonly<Record<string, string>> = COMES_BACK;
  for (;;) {
    const answer = await api.json("POST", path, { ...request, headers }).catch((error: unknown) => {
      // A server of an older version does not allow `Prefer` to pages of other sites, and a page cannot tell
      // that from a lost network. The next attempt asks with it again: without it, a proxy may give up.
      const perhaps = hasCode(error, "network") && api.crossesOrigins && headers === COMES_BACK;
      if (!perhaps || signal.aborted) throw error;
      headers = {};
      return api.json("POST", path, { ...request, headers });
    });
    if (answer["state"] !== "verifying") return fileOf(answer);
    verifying(Number(answer["done"]));
  }
}

/** The finished file that a manifest describes. */
export function fileOf(manifest: Json): CompleteFile {
  const id = String(manifest["_id"]);
  return completeFile({ ...manifest, id, url: `/v1/files/${id}` });
}
