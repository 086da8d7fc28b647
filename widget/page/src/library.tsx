/** The files on the server: searched by the start of the name, by tags and by type, page by page. */

import { useCallback, useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { type FileQuery, listFiles, listTags, type Manifest, type Page, type Tag } from "./api.js";
import { Icon, kindOf } from "./icons.js";
import { useNews } from "./news.js";
import { GRID, mayHavePicture, Picture } from "./picture.js";
import { moment, sentenceHere, size } from "./words.js";

/** A search begins this many milliseconds after the last key. */
const PAUSE = 200;
const TAGS_SHOWN = 12;
/** Files per request: in the server's order, and for sorting here. */
const [SHOWN, SORTED] = [24, 1000];

const KINDS = [["", "All types"], ["video/*", "Videos"], ["image/*", "Images"], ["audio/*", "Audio"]] as const;

const ORDERS = {
  newest: { label: "Newest first", compare: null },
  name: { label: "By name", compare: (a: Manifest, b: Manifest) => a.name.localeCompare(b.name) },
  largest: { label: "Largest first", compare: (a: Manifest, b: Manifest) => (b.size ?? 0) - (a.size ?? 0) },
} as const;
type Order = keyof typeof ORDERS;

function useFiles(query: FileQuery, sorted: boolean) {
  const [page, setPage] = useState<Page | null>(null);
  const [failure, setFailure] = useState("");
  const asking = useRef<AbortController>();
  const shown = useRef(0);
  shown.current = page?.files.length ?? 0;

  const ask = useCallback(async (cursor: string | null, least: number) => {
    asking.current?.abort();
    const { signal } = (asking.current = new AbortController());
    try {
      const found = await listFiles(query, cursor, Math.max(sorted ? SORTED : SHOWN, least), signal);
      setPage((before) => (cursor && before ? { ...found, files: [...before.files, ...found.files] } : found));
      setFailure("");
    } catch (error) {
      if (!signal.aborted) setFailure(sentenceHere(error));
    }
  }, [query, sorted]);

  useEffect(() => {
    void ask(null, 0);
    return () => asking.current?.abort();
  }, [ask]);
  // Request as many files as are shown, so that the list does not shrink while someone looks at it.
  useNews("files", useCallback(() => void ask(null, shown.current), [ask]));
  return { page, failure, more: () => page?.cursor && ask(page.cursor, 0) };
}

function useTags(): Tag[] {
  const [tags, setTags] = useState<Tag[]>([]);
  const look = useCallback(() => void listTags().then(setTags, () => undefined), []);
  useEffect(look, [look]);
  useNews("files", look);
  return tags;
}

export function Library({ onOpen }: { onOpen: (id: string) => void }) {
  const [query, setQuery] = useState<FileQuery>({ name: "", tags: [], kind: "" });
  const [order, setOrder] = useState<Order>("newest");
  const { page, failure, more } = useFiles(query, order !== "newest");
  const files = useMemo(() => {
    const { compare } = ORDERS[order];
    return compare && page ? [...page.files].sort(compare) : (page?.files ?? []);
  }, [page, order]);
  const searching = query.name !== "" || query.tags.length > 0 || query.kind !== "";
  return (
    <section class="library" aria-labelledby="library">
      <h2 id="library" tabIndex={-1}>Library</h2>
      <Search query={query} onChange={setQuery} order={order} onOrder={setOrder} />
      {failure && <p class="problem" role="alert">{failure}</p>}
      {page?.cursor && order !== "newest" && (
        <p class="hint" role="status">
          Only the newest {files.length.toLocaleString()} files are sorted. Narrow the search, or show more.
        </p>
      )}
      <p class="unseen" role="status">
        {page && `${files.length} ${files.length === 1 ? "file" : "files"}${page.cursor ? ", and more" : ""}`}
      </p>
      {page && files.length === 0 && <Empty searching={searching} named={query.name !== ""} />}
      <ul class="cards">
        {files.map((file) => <Card key={file._id} file={file} onOpen={() => onOpen(file._id)} />)}
      </ul>
      {page?.cursor && <button type="button" class="more" onClick={more}>Show more</button>}
    </section>
  );
}

function Empty({ searching, named }: { searching: boolean; named: boolean }) {
  return (
    <div class="empty">
      <Icon name={searching ? "search" : "video"} />
      <p>{searching ? "No files match." : "No files yet. Files that you upload appear here."}</p>
      {named && <p class="hint">The search distinguishes capital and small letters.</p>}
    </div>
  );
}

interface SearchProps {
  query: FileQuery;
  /** The function is applied to the latest query: typing is delayed, and other fields may change before. */
  onChange: (change: (query: FileQuery) => FileQuery) => void;
  order: Order;
  onOrder: (order: Order) => void;
}

function Search({ query, onChange, order, onOrder }: SearchProps) {
  const id = useId();
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const type = (name: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange((now) => ({ ...now, name })), PAUSE);
  };
  return (
    <search class="search">
      <div class="search-name">
        <Icon name="search" />
        <label class="unseen" for={`${id}-name`}>Search by name</label>
        <input
          id={`${id}-name`}
          type="search"
          placeholder="Name starts with …"
          autocapitalize="none"
          autocorrect="off"
          spellcheck={false}
          onInput={(event) => type(event.currentTarget.value)}
        />
      </div>
      <label class="unseen" for={`${id}-kind`}>Type</label>
      <select id={`${id}-kind`} onChange={({ currentTarget: { value } }) => onChange((now) => ({ ...now, kind: value }))}>
        {KINDS.map(([kind, label]) => <option key={kind} value={kind}>{label}</option>)}
      </select>
      <label class="unseen" for={`${id}-order`}>Order</label>
      <select id={`${id}-order`} value={order} onChange={(event) => onOrder(event.currentTarget.value as Order)}>
        {Object.entries(ORDERS).map(([name, { label }]) => <option key={name} value={name}>{label}</option>)}
      </select>
      <TagFilter chosen={query.tags} onChoose={(tags) => onChange((now) => ({ ...now, tags }))} />
    </search>
  );
}

function TagFilter({ chosen, onChoose }: { chosen: string[]; onChoose: (tags: string[]) => void }) {
  const tags = useTags();
  const [all, setAll] = useState(false);
  const used = tags.filter(({ files }) => files > 0).sort((a, b) => b.files - a.files);
  const shown = all ? used : used.slice(0, TAGS_SHOWN);
  const names = [...new Set([...chosen, ...shown.map(({ name }) => name)])];
  if (names.length === 0) return null;
  return (
    <div class="tags" role="group" aria-label="Filter by tags">
      {names.map((name) => {
        const pressed = chosen.includes(name);
        const others = chosen.filter((other) => other !== name);
        return (
          <button
            key={name}
            type="button"
            class="tag"
            aria-pressed={pressed}
            onClick={() => onChoose(pressed ? others : [...chosen, name])}
          >
            {name}
          </button>
        );
      })}
      {used.length > TAGS_SHOWN && (
        <button type="button" class="link-like" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Fewer tags" : `All ${used.length.toLocaleString()} tags`}
        </button>
      )}
    </div>
  );
}

function Card({ file, onOpen }: { file: Manifest; onOpen: () => void }) {
  return (
    <li class="card">
      <button type="button" class="card-open" onClick={onOpen}>
        <Preview file={file} />
        <span class="card-name breakable" dir="auto">{file.name}</span>
      </button>
      <p class="hint">{size(file.size ?? 0)} · {moment(file.created_at)}</p>
      {file.tags.length > 0 && (
        <ul class="tags" aria-label={`Tags of ${file.name}`}>
          {file.tags.map((tag) => <li key={tag} class="tag small">{tag}</li>)}
        </ul>
      )}
    </li>
  );
}

function Preview({ file }: { file: Manifest }) {
  const [none, setNone] = useState(false);
  const kind = kindOf(file.mime_type);
  return (
    <span class={`preview ${kind}`}>
      {mayHavePicture(file) && !none
        ? <Picture file={file} quality={GRID} alt="" lazy onNone={() => setNone(true)} />
        : <Icon name={kind} />}
      {kind !== "image" && kind !== "file" && <span class="preview-play"><Icon name="play" /></span>}
    </span>
  );
}
