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
  /** When it was moved to the trash. */
  trashed_at?: string | null;
  /** The name that whoever sent it by a request gave. */
  sender?: string | null;
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
  /** Whether whoever is signed in acts for all users; an older server does not say. */
  admin?: boolean;
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

/** `name`, `size`, `created`, `modified` or `type`; with `-` in front the last one first. */
export type Order = `${"" | "-"}${"name" | "size" | "created" | "modified" | "type"}`;

export interface FileQuery {
  /** Where the files are; with anything that is searched for, also in the folders below. */
  directory: string;
  /** Words, anywhere in the name. */
  search: string;
  tags: string[];
  kind: string;
  order: Order;
}

/** Whether anything is searched for. */
export const isSearch = ({ search, tags, kind }: FileQuery) => search.trim() !== "" || tags.length > 0 || kind !== "";

export interface Folder {
  directory: string;
  files: number;
  size: number;
}

interface AnyLink {
  id: string;
  user_id: string;
  minter: string;
  created_at: string;
  expires_at: string;
  directory: string | null;
  /** How many visitors may download, or how many files may be sent; null: any number. */
  uses: number | null;
  used: number;
}

/** A link for people: a grant that leads to a file or a folder. */
export interface Share extends AnyLink {
  action: "share";
  file_id: string | null;
  password: boolean;
}

/** A link with which people send files into a folder. */
export interface Request extends AnyLink {
  action: "request";
  /** The most bytes of all files together. */
  max_size: number | null;
  taken: number;
  /** How many people gave a name. */
  senders: number;
}

export type Link = Share | Request;

/** How one signs in at this server, and who can make an account. */
export interface Ways {
  ways: ("token" | "password" | "passkey" | "oidc")[];
  /** The host of the OpenID provider. */
  provider: string | null;
  signup: "closed" | "invite" | "open";
}

export interface SignedIn {
  user_id: string;
  session_id: string;
  token: string;
}

export interface Session {
  id: string;
  current: boolean;
  created_at: string;
  used_at: string;
  address: string;
  agent: string;
}

interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Iterable<[string, string]>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The server's address: the page's address without its last part. */
export const home = new URL(".", document.baseURI);

/** What a request does that is not signed in; returns whether it is then, so that it is sent again. */
let signInAgain: () => Promise<boolean> = () => Promise.resolve(false);

export function onRefused(again: () => Promise<boolean>): void {
  signInAgain = again;
}

export async function call<T>(path: string, options: Call = {}): Promise<T> {
  let answer = await send(path, options);
  if (answer.status === 401 && (await signInAgain())) answer = await send(path, options);
  if (answer.status === 401) tell("signed-out");
  return read<T>(answer);
}

async function read<T>(answer: Response): Promise<T> {
  if (!answer.ok) throw await refusal(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

async function send(path: string, { method = "GET", query, body, headers, signal }: Call): Promise<Response> {
  const url = new URL(path, home);
  for (const [name, value] of query ?? []) url.searchParams.append(name, value);
  try {
    return await fetch(url, {
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

export const getWays = () => call<Ways>("v1/session/ways");

/** A session, and for how many milliseconds its token is good: by the server's clock, as this one may be wrong. */
async function begun(path: string, body: unknown): Promise<SignedIn & { lifetime: number }> {
  const answer = await send(path, { method: "POST", body });
  const signed = await read<SignedIn & { expires_at: string }>(answer);
  const now = Date.parse(answer.headers.get("Date") ?? "") || Date.now();
  return { ...signed, lifetime: Math.max(0, Date.parse(signed.expires_at) - now) };
}

export const beginSession = (name: string, password: string) => begun("v1/session", { name, password });
export const refreshSession = () => begun("v1/session/refresh", {});
export const signUp = (name: string, password: string, invitation: string | null) =>
  begun("v1/signup", { name, password, invitation });
export const changePassword = (password: string, new_password: string) =>
  begun("v1/session/password", { password, new_password });

/** What a device is asked for, as JSON, and what is sent back with its answer. */
export interface PasskeyQuestion<Options> {
  options: Options;
  state: string;
}

export interface Passkey {
  id: string;
  label: string;
  created_at: string;
  used_at: string | null;
}

type Creation = PublicKeyCredentialCreationOptionsJSON;
type Assertion = PublicKeyCredentialRequestOptionsJSON;

/** A wrong password is no reason to sign in again. */
const post = <T>(path: string, body: unknown) => send(path, { method: "POST", body }).then((answer) => read<T>(answer));

export const askForNewPasskey = (password: string | null) =>
  post<PasskeyQuestion<Creation>>("v1/passkeys/options", { password });
export const addPasskey = (state: string, credential: unknown, label: string) =>
  post<Passkey>("v1/passkeys", { state, credential, label });
export const listPasskeys = () => call<{ passkeys: Passkey[] }>("v1/passkeys").then(({ passkeys }) => passkeys);
export const deletePasskey = (id: string) => call<void>(`v1/passkeys/${id}`, { method: "DELETE" });
export const askForPasskey = () => post<PasskeyQuestion<Assertion>>("v1/session/passkey/options", {});
export const beginSessionWithPasskey = (state: string, credential: unknown) =>
  begun("v1/session/passkey", { state, credential });

export const listSessions = () => call<{ sessions: Session[] }>("v1/sessions").then(({ sessions }) => sessions);
export const endSession = (id: string) => call<void>(`v1/sessions/${id}`, { method: "DELETE" });
export const endOtherSessions = () => call<{ ended: number }>("v1/sessions", { method: "DELETE" });

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

/** One page of the files. `cursor` comes from the previous page. */
export function listFiles(asked: FileQuery, cursor: string | null, limit: number, signal: AbortSignal): Promise<Page> {
  const { directory, search, tags, kind, order } = asked;
  const query: [string, string][] = tags.map((tag) => ["tag", tag]);
  query.push(["limit", String(Math.min(limit, 1000))], ["order", order]);
  if (!isSearch(asked)) query.push(["directory", directory]);
  else if (directory) query.push(["directory", directory], ["recursive", "true"]);
  if (search.trim()) query.push(["search", search.trim()]);
  if (kind) query.push(["mime_type", kind]);
  if (cursor) query.push(["cursor", cursor]);
  return call<Page>("v1/files", { query, signal });
}

/** All folders in a folder, by name. */
export async function listFolders(directory: string): Promise<Folder[]> {
  const found: Folder[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: [string, string][] = [["directory", directory], ["limit", "1000"]];
    if (cursor) query.push(["cursor", cursor]);
    const page: { directories: Folder[]; cursor: string | null } = await call("v1/directories", { query });
    found.push(...page.directories);
    cursor = page.cursor;
  }
  return found;
}

export const moveFolder = (from: string, to: string) =>
  call<{ moved: number }>("v1/directories", { method: "PATCH", query: [["directory", from]], body: { directory: to } });
const TRASH: [string, string][] = [["trash", "true"]];
export const deleteFolder = (directory: string) =>
  call<{ deleted: number }>("v1/files", { method: "DELETE", query: [["directory", directory], ...TRASH] });

/** One file, without the list of chunks that its full manifest has. */
export const getFile = (id: string) => call<Manifest>(`v1/uploads/${id}`);
export const changeFile = (id: string, change: { name?: string; tags?: string[]; directory?: string }) =>
  call<Manifest>(`v1/files/${id}`, { method: "PATCH", body: change });
/** Move a file to the trash. Returns nothing where the server keeps no trash, and it is deleted for good. */
export const deleteFile = (id: string) => call<Manifest | undefined>(`v1/files/${id}`, { method: "DELETE", query: TRASH });
export const deleteForGood = (id: string) => call<void>(`v1/files/${id}`, { method: "DELETE" });
export const restoreFile = (id: string) => call<Manifest>(`v1/files/${id}/restore`, { method: "POST" });
export const emptyTrash = () => call<{ deleted: number }>("v1/trash", { method: "DELETE" });

/** One page of the trash, the newest files first. */
export function listTrash(cursor: string | null): Promise<Page> {
  return call<Page>("v1/trash", { query: [["limit", "200"], ...(cursor ? [["cursor", cursor] as [string, string]] : [])] });
}

/** What a link leads to. */
export type Shared = { file_id: string } | { directory: string };

/** A link with which anyone can see and download a file or a folder, for so many seconds. */
export async function share(what: Shared, seconds: number, password: string, uses: number | null): Promise<string> {
  return makeLink({ action: "share", ...what, expires_in: seconds, password: password || null, uses });
}

/** A link with which people send files into a folder. */
export const request = (directory: string, seconds: number, max_size: number | null, uses: number | null) =>
  makeLink({ action: "request", directory, expires_in: seconds, max_size, uses });

async function makeLink(body: unknown): Promise<string> {
  const { url } = await call<{ url: string }>("v1/grants", { method: "POST", body });
  // Without LADING_PUBLIC_URL the server does not know its own address; the page does.
  return new URL(url.replace(/^\//, ""), home).href;
}

/** The links that the user made, the newest first. */
export async function listLinks(): Promise<Link[]> {
  const found: Link[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: [string, string][] = [["action", "share"], ["action", "request"], ["limit", "1000"]];
    if (cursor) query.push(["cursor", cursor]);
    const page: { grants: Link[]; cursor: string | null } = await call("v1/grants", { query });
    found.push(...page.grants);
    cursor = page.cursor;
  }
  return found;
}

export const revokeLink = (id: string) => call<void>(`v1/grants/${id}`, { method: "DELETE" });
export const changeLink = (id: string, change: { expires_in?: number; uses?: number | null; password?: string | null; max_size?: number | null }) =>
  call<Link>(`v1/grants/${id}`, { method: "PATCH", body: change });

/** Archives with at most so many files by their ids. */
export const MOST_ARCHIVED = 200;
/** A ZIP of files, or of a folder with all that is below it. */
export function archiveUrl(what: { ids: string[] } | { directory: string }): string {
  const url = new URL("v1/archive", home);
  if ("ids" in what) for (const id of what.ids) url.searchParams.append("id", id);
  else url.searchParams.set("directory", what.directory);
  return url.href;
}

/** The first bytes of a file as text. */
export async function readText(id: string, bytes: number): Promise<string> {
  const answer = await fetch(fileUrl(id), { headers: { Range: `bytes=0-${bytes - 1}` } });
  if (!answer.ok && answer.status !== 416) throw await refusal(answer);
  return answer.status === 416 ? "" : answer.text();
}

export const fileUrl = (id: string) => new URL(`v1/files/${id}`, home).href;
/** An image that the server makes of a file: 1 is the smallest, 6 the largest. */
export const pictureUrl = (id: string, quality: number) => `${fileUrl(id)}/${quality}`;
export const downloadUrl = (id: string) => `${fileUrl(id)}?download=1`;
