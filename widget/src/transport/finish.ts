/**
 * Have an upload verified and published. Source: docs/http-api.md, "Files that take long to verify".
 */

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
  const request = { json, signal, headers: COMES_BACK, timeout: FINISHING };
  let answer = await api.json("POST", path, request);
  while (answer["state"] === "verifying") {
    verifying(Number(answer["done"]));
    answer = await api.json("POST", path, request);
  }
  return fileOf(answer);
}

/** The finished file that a manifest describes. */
export function fileOf(manifest: Json): CompleteFile {
  const id = String(manifest["_id"]);
  return completeFile({ ...manifest, id, url: `/v1/files/${id}` });
}
