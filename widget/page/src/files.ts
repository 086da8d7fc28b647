/** The files and folders of one place, loaded page by page as somebody scrolls. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import {
  archiveUrl, downloadUrl, type FileQuery, type Folder, isSearch, listFiles, listFolders, type Manifest, MOST_ARCHIVED,
} from "./api.js";
import { useNews } from "./news.js";
import { sentenceHere } from "./words.js";

/** Files of the first page, so that it is there at once, and of the others. */
const [FIRST, NEXT] = [60, 500];
/** The most that one request returns. */
const MOST = 1000;
/** Milliseconds between two requests for the folders while files arrive. */
const CALM = 3_000;

export interface Files {
  /** Null until they are known. */
  files: Manifest[] | null;
  /** Whether the server has more. */
  more: boolean;
  failure: string;
  /** Load the next page, unless it is being loaded. */
  load: () => void;
  /** Files that are no longer here, without waiting for the server. */
  drop: (ids: ReadonlySet<string>) => void;
}

interface Loaded {
  query: FileQuery;
  files: Manifest[];
  cursor: string | null;
}

export function useFiles(query: FileQuery): Files {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [failure, setFailure] = useState("");
  const asking = useRef<AbortController>();
  const loading = useRef(false);
  const now = useRef<Loaded | null>(null);
  now.current = loaded?.query === query ? loaded : null;

  const ask = useCallback(async (cursor: string | null, most: number, merge: (page: Loaded) => Loaded) => {
    asking.current?.abort();
    const { signal } = (asking.current = new AbortController());
    loading.current = true;
    try {
      const found = await listFiles(query, cursor, most, signal);
      setLoaded(merge({ query, ...found }));
      setFailure("");
    } catch (error) {
      if (!signal.aborted) setFailure(sentenceHere(error));
    } finally {
      if (!signal.aborted) loading.current = false;
    }
  }, [query]);

  useEffect(() => {
    void ask(null, FIRST, (page) => page);
    return () => asking.current?.abort();
  }, [ask]);

  const load = useCallback(() => {
    const before = now.current;
    if (before?.cursor == null || loading.current) return;
    void ask(before.cursor, NEXT, (page) => ({ ...page, files: [...before.files, ...page.files] }));
  }, [ask]);

  // The list does not shrink while someone looks at it: what is behind the first thousand stays as it was.
  useNews("files", useCallback(() => {
    const shown = now.current;
    void ask(null, Math.max(FIRST, Math.min(MOST, shown?.files.length ?? 0)), (page) => (shown ? joined(page, shown) : page));
  }, [ask]));

  const drop = useCallback((ids: ReadonlySet<string>) => {
    setLoaded((before) => before && { ...before, files: before.files.filter(({ _id }) => !ids.has(_id)) });
  }, []);
  return { files: now.current?.files ?? null, more: now.current?.cursor != null, failure, load, drop };
}

/** The new beginning of a list and its old end. */
export function joined(page: Loaded, before: Loaded): Loaded {
  const last = page.files.at(-1);
  const at = before.files.findLastIndex(({ _id }) => _id === last?._id);
  if (page.cursor === null || at < 0 || at === before.files.length - 1) return page;
  return { ...before, files: [...page.files, ...before.files.slice(at + 1)] };
}

const running = new Map<string, Promise<Folder[]>>();

/** One request for all parts of the page that ask at the same time. */
export function foldersIn(directory: string): Promise<Folder[]> {
  const asked = running.get(directory) ?? listFolders(directory).finally(() => running.delete(directory));
  running.set(directory, asked);
  return asked;
}

/** The folders in a folder; null until they are known. */
export function useFolders(directory: string): Folder[] | null {
  const [found, setFound] = useState<{ directory: string; folders: Folder[] } | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const here = useRef(directory);
  here.current = directory;
  const look = useCallback(() => {
    timer.current = undefined;
    // An answer may come when somebody has gone on.
    const keep = (folders: Folder[]) => {
      if (here.current !== directory) return;
      setFound((before) => (before?.directory === directory && same(before.folders, folders) ? before : { directory, folders }));
    };
    foldersIn(directory).then(keep, () => setFound((before) => (before?.directory === directory ? before : { directory, folders: [] })));
  }, [directory]);
  useEffect(() => {
    look();
    return () => clearTimeout(timer.current);
  }, [look]);
  useNews("files", useCallback(() => void (timer.current ??= setTimeout(look, CALM)), [look]));
  useNews("folders", look);
  return found?.directory === directory ? found.folders : null;
}

const same = (some: Folder[], others: Folder[]) => JSON.stringify(some) === JSON.stringify(others);

/** A file or a folder of the list. */
export type Item = { key: string; folder: Folder; file?: undefined } | { key: string; file: Manifest; folder?: undefined };

export function itemsOf(query: FileQuery, folders: Folder[] | null, files: Manifest[] | null): Item[] {
  const shown = isSearch(query) ? [] : (folders ?? []);
  return [
    ...shown.map((folder) => ({ key: `/${folder.directory}`, folder })),
    ...(files ?? []).map((file) => ({ key: file._id, file })),
  ];
}

export const nameOf = (item: Item) => (item.folder ? lastOf(item.folder.directory) : item.file.name);

/** The name of a folder: the last part of its path. */
export const lastOf = (directory: string) => directory.slice(directory.lastIndexOf("/") + 1);
export const parentOf = (directory: string) => directory.slice(0, Math.max(0, directory.lastIndexOf("/")));

/** Whether the item would stay where it is, or a folder come into itself. */
export function staysAt(item: Item, directory: string): boolean {
  const path = item.folder?.directory;
  if (path === undefined) return item.file?.directory === directory;
  return parentOf(path) === directory || directory === path || directory.startsWith(`${path}/`);
}

/** The addresses that download the items: a file as it is, several as one ZIP, each folder as one. */
export function downloads(items: readonly Item[]): string[] {
  const ids = items.flatMap(({ file }) => file?._id ?? []);
  const folders = items.flatMap(({ folder }) => (folder ? archiveUrl({ directory: folder.directory }) : []));
  if (ids.length === 1 && folders.length === 0) return ids.map(downloadUrl);
  const archives: string[] = [];
  for (let at = 0; at < ids.length; at += MOST_ARCHIVED) archives.push(archiveUrl({ ids: ids.slice(at, at + MOST_ARCHIVED) }));
  return [...archives, ...folders];
}
