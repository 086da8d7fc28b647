/** Finding an upload of the same file that was begun earlier, here or on another device. */

import type { Source } from "../source/source.js";
import type { Api, Json } from "../transport/http.js";

/** What the upload is called on the server. */
export interface Sought {
  readonly name: string;
  readonly directory: string;
  readonly fingerprint: string;
  /** Whether other fingerprints of the same file count, too. */
  readonly alike: boolean;
}

export interface Unfinished {
  readonly id: string;
  /** Only samples of the content are known to be equal. */
  readonly doubtful: boolean;
}

/**
 * The newest unfinished upload with the same fingerprint.
 *
 * One that differs in the file's time alone, or that the command line began, counts, too. Only samples of
 * the content are equal then, so the server must compare the SHA-256 of the whole before it publishes the
 * file.
 */
export async function findUnfinished(
  api: Api,
  source: Source,
  sought: Sought,
  signal: AbortSignal,
): Promise<Unfinished | undefined> {
  const query = `?fingerprint=${encodeURIComponent(sought.fingerprint)}`;
  const [exact] = await listed(api, source, sought, query, signal);
  if (exact !== undefined) return { id: String(exact["_id"]), doubtful: false };
  if (!sought.alike || api.credential.isGrant) return undefined;
  for (const upload of await listed(api, source, sought, "", signal)) {
    const same = await source.resembles(upload["fingerprint"]);
    if (same) return { id: String(upload["_id"]), doubtful: true };
  }
  return undefined;
}

/** The caller's unfinished uploads of the same name, size and directory, the newest first. */
async function listed(
  api: Api,
  source: Source,
  sought: Sought,
  query: string,
  signal: AbortSignal,
): Promise<readonly Json[]> {
  const answer = await api.json("GET", `/v1/uploads${query}`, { signal });
  // A grant may have given the upload another name and directory.
  const fits = ({ size, name, directory }: Json): boolean =>
    size === source.size &&
    (api.credential.isGrant || (name === sought.name && directory === sought.directory));
  const uploads = (answer["uploads"] ?? []) as readonly Json[];
  return uploads.filter((upload) => upload["state"] === "uploading" && fits(upload));
}
