/**
 * The HTTP API as the page uses it. Addresses are relative to the page, so that it works below any path.
 * The credential is the page's cookie.
 */

import { fromProblem, networkError, type Problem, UploadError } from "../../src/protocol/errors.js";
import { tell } from "./news.js";

export interface Media {
  kind: "image" | "video" | "audio";
  width: number | null;
  height: number | null;
  duration: number | null;
  title: string | null;
  artist: string | null;
  /** The smallest image as a `data:` address. */
  placeholder: string | null;
}

export interface Manifest {
  _id: string;
  user_id: string;
  name: string;
  directory: string;
  size: number | null;
  mime_type: string;
  upload_size: number;
  state: "uploading" | "ready" | "expired";
  sha256: string | null;
  tags: string[];
  /** The kind that it was uploaded as. */
  kind?: string | null;
  /** Where the bytes are; an older server does not say. */
  blobs?: "mongo" | "file" | "s3";
  public?: boolean;
  /** Facts of an image, video or sound, once they are known; an older server sends none. */
  media?: Media | null;
  /** The images that exist. */
  pictures?: { quality: number; crop: "square" | null; width: number; height: number; size: number }[];
  created_at: string;
  updated_at: string;
  expires_at: string | null;
}

export interface Upload extends Manifest {
  fingerprint: string | null;
  missing: [number, number][];
}

export interface Usage {
  user_id: string;
  used: number;
  reserved: number;
  quota: number | null;
}

export interface Tag {
  name: string;
  files: number;
}

/** A kind of files, and what it asks for. What sets no limit is null or empty. */
export interface Kind {
  name: string;
  max_size: number | null;
  mime_types: string[];
  public: boolean;
  directory: string | null;
}

export interface FileQuery {
  name: string;
  tags: string[];
  kind: string;
}

interface Call {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  query?: Iterable<[string, string]>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The server's address: the page's address without its last part. */
export const home = new URL(".", document.baseURI);

async function call<T>(path: string, { method = "GET", query, body, headers, signal }: Call = {}): Promise<T> {
  const url = new URL(path, home);
  for (const [name, value] of query ?? []) url.searchParams.append(name, value);
  let answer: Response;
  try {
    answer = await fetch(url, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(signal ? { signal } : {}),
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw networkError("no answer", error);
  }
  if (answer.status === 401) tell("signed-out");
  if (!answer.ok) throw await refusal(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

async function refusal(answer: Response): Promise<UploadError> {
  try {
    return fromProblem((await answer.json()) as Problem);
  } catch {
    return new UploadError("internal", { detail: `The server answered ${answer.status}.` });
  }
}

export const signIn = (token: string) =>
  call<void>("v1/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
export const signOut = () => call<void>("v1/session", { method: "DELETE" });

export const getUsage = () => call<Usage>("v1/usage");
export const listUploads = () => call<{ uploads: Upload[] }>("v1/uploads").then(({ uploads }) => uploads);
export const abortUpload = (id: string) => call<void>(`v1/uploads/${id}`, { method: "DELETE" });

export const listKinds = () => call<{ kinds: Kind[] }>("v1/kinds").then(({ kinds }) => kinds);

/** All tags of the user. */
export async function listTags(): Promise<Tag[]> {
  const found: Tag[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: [string, string][] = [["limit", "1000"]];
    if (cursor) query.push(["cursor", cursor]);
    const page: { tags: Tag[]; cursor: string | null } = await call("v1/tags", { query });
    found.push(...page.tags);
    cursor = page.cursor;
  }
  return found;
}

export interface Page {
  files: Manifest[];
  cursor: string | null;
}

/** One page of the files, the newest first. `cursor` comes from the previous page. */
export function listFiles(
  { name, tags, kind }: FileQuery,
  cursor: string | null,
  limit: number,
  signal: AbortSignal,
): Promise<Page> {
  const query: [string, string][] = tags.map((tag) => ["tag", tag]);
  query.push(["limit", String(Math.min(limit, 1000))]);
  if (name) query.push(["name", name]);
  if (kind) query.push(["mime_type", kind]);
  if (cursor) query.push(["cursor", cursor]);
  return call<Page>("v1/files", { query, signal });
}

/** One file, without the list of chunks that its full manifest has. */
export const getFile = (id: string) => call<Manifest>(`v1/uploads/${id}`);
export const changeFile = (id: string, change: { name?: string; tags?: string[] }) =>
  call<Manifest>(`v1/files/${id}`, { method: "PATCH", body: change });
export const deleteFile = (id: string) => call<void>(`v1/files/${id}`, { method: "DELETE" });

/** A link with which anyone can download the file, for so many seconds. */
export async function mintLink(id: string, seconds: number): Promise<string> {
  const body = { action: "download", file_id: id, expires_in: seconds };
  const { url } = await call<{ url: string }>("v1/grants", { method: "POST", body });
  // Without LADING_PUBLIC_URL the server does not know its own address; the page does.
  return new URL(url.replace(/^\//, ""), home).href;
}

export const fileUrl = (id: string) => new URL(`v1/files/${id}`, home).href;
/** An image that the server makes of a file: 1 is the smallest, 6 the largest. */
export const pictureUrl = (id: string, quality: number) => `${fileUrl(id)}/${quality}`;
export const downloadUrl = (id: string) => `${fileUrl(id)}?download=1`;
