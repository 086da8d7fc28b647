/**
 * Files of the same name on the server: so a folder that is dropped again after a reload sends only what is
 * not there, and somebody can be asked about a file whose name is taken.
 *
 * The same file means: same name, directory, size and content. Each directory of many files is listed once.
 */

import { Checksums } from "../source/checksum.js";
import { crc32cOf } from "../source/digest.js";
import type { Api, Json } from "../transport/http.js";
import { Kinds } from "../transport/kinds.js";
import type { BatchFile, Existing } from "./batch-item.js";
import { apiOf, type UploadOptions } from "./options.js";

const PAGE = 1_000;
/** Lists of a directory that are read: the files of an interrupted run are the newest. */
const MOST_PAGES = 20;

/** A batch of at most so many files asks for each by its name: a directory may be large. */
const FEW = 20;
/** Files of one name that are compared. */
const COMPARED = 100;

/** What is known of a file on the server. */
interface Known extends Existing {
  readonly sha256: unknown;
  readonly crc32c: unknown;
}

type Directory = ReadonlyMap<string, readonly Known[]>;

/** The id of the same file, or else another one of the same name. */
export interface Found {
  readonly same: string | undefined;
  readonly other: Existing | undefined;
}

export class Earlier {
  private readonly lists = new Map<string, Promise<Directory>>();

  private readonly kinds: Kinds;

  constructor(private readonly api: Api) {
    this.kinds = new Kinds(api);
  }

  /**
   * What the server has under the file's name. `files` is how many files the batch has.
   * Rejects with UploadError, or the file's own error.
   */
  async find({ file, directory = "", kind }: BatchFile, files: number, signal: AbortSignal): Promise<Found> {
    const place = await this.kinds.place(kind, directory, signal);
    const query: Record<string, string> = { directory: place, limit: String(PAGE) };
    if (files <= FEW) Object.assign(query, { name: file.name, limit: String(COMPARED) });
    const named = (await this.listed(query, signal)).get(file.name.normalize()) ?? [];
    const same = await sameAs(file, named, signal);
    return { same: same?.id, other: same === undefined ? named[0] : undefined };
  }

  private listed(query: Record<string, string>, signal: AbortSignal): Promise<Directory> {
    const key = JSON.stringify(query);
    const known = this.lists.get(key) ?? this.list(query, signal);
    this.lists.set(key, known);
    known.catch(() => this.lists.delete(key)); // ask again next time
    return known;
  }

  private async list(asked: Record<string, string>, signal: AbortSignal): Promise<Directory> {
    const found = new Map<string, Known[]>();
    const query = new URLSearchParams(asked);
    for (let page = 0; page < MOST_PAGES; page++) {
      const { files, cursor } = await this.api.json("GET", `/v1/files?${query}`, { signal });
      for (const file of (files ?? []) as readonly Json[]) add(found, file);
      // Of one name, the newest are enough.
      if (typeof cursor !== "string" || query.has("name")) break;
      query.set("cursor", cursor);
    }
    return found;
  }
}

/**
 * The id of the same file on the server, if it is there already: by directory, name, size and digest. Rejects
 * with UploadError where the credential may not list files.
 */
export async function findFile(
  file: BatchFile,
  options: UploadOptions = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<string | undefined> {
  return (await new Earlier(apiOf(options)).find(file, 1, signal)).same;
}

/** The one of them with the same content. */
async function sameAs(file: File, named: readonly Known[], signal: AbortSignal): Promise<Known | undefined> {
  const alike = named.filter(({ size }) => size === file.size);
  if (alike.length === 0) return undefined;
  const sha256 = alike.some((known) => known.sha256 !== null) ? await digestOf(file, signal) : null;
  const same = alike.find((known) => sha256 !== null && known.sha256 === sha256);
  const undigested = alike.filter((known) => known.sha256 === null);
  if (same !== undefined || undigested.length === 0) return same;
  const crc32c = await crc32cOf(file, signal);
  return undigested.find((known) => known.crc32c === crc32c);
}

/** In the worker: the file may be large. */
async function digestOf(file: File, signal: AbortSignal): Promise<string> {
  const checksums = new Checksums();
  try {
    return await checksums.sha256(file, signal);
  } finally {
    checksums.end();
  }
}

/** The same name in the forms NFC and NFD is one name. */
function add(found: Map<string, Known[]>, { _id, name, size, sha256, crc32c }: Json): void {
  const key = String(name).normalize();
  const known = { id: String(_id), size: Number(size), sha256: sha256 ?? null, crc32c };
  const alike = found.get(key);
  if (alike === undefined) found.set(key, [known]);
  else alike.push(known);
}
