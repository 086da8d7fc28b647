/**
 * Files of an earlier run that are on the server already, so that a folder that is dropped again after a
 * reload sends only what is not there.
 *
 * The same file means: same name, directory, size and content. Each directory is listed once.
 */

import { crc32cOf, sha256Of } from "../source/digest.js";
import type { Api, Json } from "../transport/http.js";
import { Kinds } from "../transport/kinds.js";
import type { BatchFile } from "./batch.js";

const PAGE = 1_000;
/** Lists of a directory that are read: the files of an interrupted run are the newest. */
const MOST_PAGES = 20;

/** What is known of a file on the server. */
interface Known {
  readonly sha256: unknown;
  readonly crc32c: unknown;
}

type Directory = ReadonlyMap<string, readonly Known[]>;

export class Earlier {
  private readonly directories = new Map<string, Promise<Directory>>();

  private readonly kinds: Kinds;

  constructor(private readonly api: Api) {
    this.kinds = new Kinds(api);
  }

  /** Whether the server has the file. Rejects with UploadError, or the file's own error. */
  async has({ file, directory = "", kind }: BatchFile, signal: AbortSignal): Promise<boolean> {
    const { name } = file;
    const listed = await this.listed(await this.kinds.place(kind, directory, signal), signal);
    const alike = listed.get(keyOf(name, file.size)) ?? [];
    if (alike.length === 0) return false;
    const sha256 = alike.some((known) => known.sha256 !== null) ? await sha256Of(file, signal) : null;
    if (sha256 !== null && alike.some((known) => known.sha256 === sha256)) return true;
    const undigested = alike.filter((known) => known.sha256 === null);
    if (undigested.length === 0) return false;
    const crc32c = await crc32cOf(file, signal);
    return undigested.some((known) => known.crc32c === crc32c);
  }

  private listed(directory: string, signal: AbortSignal): Promise<Directory> {
    const known = this.directories.get(directory) ?? this.list(directory, signal);
    this.directories.set(directory, known);
    known.catch(() => this.directories.delete(directory)); // ask again next time
    return known;
  }

  private async list(directory: string, signal: AbortSignal): Promise<Directory> {
    const found = new Map<string, Known[]>();
    const query = new URLSearchParams({ directory, limit: String(PAGE) });
    for (let page = 0; page < MOST_PAGES; page++) {
      const { files, cursor } = await this.api.json("GET", `/v1/files?${query}`, { signal });
      for (const file of (files ?? []) as readonly Json[]) add(found, file);
      if (typeof cursor !== "string") break;
      query.set("cursor", cursor);
    }
    return found;
  }
}

function add(found: Map<string, Known[]>, { name, size, sha256, crc32c }: Json): void {
  const key = keyOf(String(name), Number(size));
  const known = { sha256: sha256 ?? null, crc32c };
  const alike = found.get(key);
  if (alike === undefined) found.set(key, [known]);
  else alike.push(known);
}

/** The same name in the forms NFC and NFD is one name. */
function keyOf(name: string, size: number): string {
  return `${size} ${name.normalize()}`;
}
