/** What is searched for, in which order, and how it is shown. */

import { useCallback, useEffect, useId, useRef, useState } from "preact/hooks";
import { type FileQuery, listTags, type Order, type Tag } from "./api.js";
import { Icon } from "./icons.js";
import type { Layout } from "./items.js";
import { useNews } from "./news.js";

/** A search begins this many milliseconds after the last key. */
const PAUSE = 200;
/** The tags are asked for so many milliseconds after the first files are there. */
const LATER = 300;
const TAGS_SHOWN = 12;

const KINDS = [
  ["", "All types"], ["video/*", "Videos"], ["image/*", "Images"], ["audio/*", "Audio"], ["text/*", "Text"],
  ["application/pdf", "PDF"],
] as const;

const ORDERS: [Order, string][] = [
  ["-created", "Newest first"], ["created", "Oldest first"], ["name", "By name"], ["-name", "By name, Z to A"],
  ["-size", "Largest first"], ["size", "Smallest first"], ["-modified", "Last changed first"], ["type", "By type"],
];

interface SearchProps {
  query: FileQuery;
  /** The function is applied to the latest query: typing is delayed, and other fields may change before. */
  onChange: (change: (query: FileQuery) => Partial<FileQuery>) => void;
  layout: Layout;
  onLayout: (layout: Layout) => void;
  /** Whether the first files are there: the tags come after them. */
  ready: boolean;
}

/** `/` moves to the search, unless somebody types. */
function useSlash(field: { current: HTMLInputElement | null }): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing) return;
      event.preventDefault();
      field.current?.focus();
      field.current?.select();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

export function Search({ query, onChange, layout, onLayout, ready }: SearchProps) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const [shows, setShows] = useState(false);
  useSlash(field);
  useEffect(() => {
    if (!ready) return;
    const timer = setTimeout(() => setShows(true), LATER);
    return () => clearTimeout(timer);
  }, [ready]);
  const type = (search: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(() => ({ search })), PAUSE);
  };
  return (
    <search class="search">
      <div class="search-name">
        <Icon name="search" />
        <label class="unseen" for={`${id}-name`}>Search by name</label>
        <input
          ref={field}
          id={`${id}-name`}
          type="search"
          placeholder={query.directory ? "Search in this folder" : "Search names"}
          title="Words, anywhere in the name ( / )"
          maxLength={256}
          autocapitalize="none"
          autocorrect="off"
          spellcheck={false}
          onInput={(event) => type(event.currentTarget.value)}
        />
      </div>
      <label class="unseen" for={`${id}-kind`}>Type</label>
      <select id={`${id}-kind`} onChange={({ currentTarget: { value } }) => onChange(() => ({ kind: value }))}>
        {KINDS.map(([kind, label]) => <option key={kind} value={kind}>{label}</option>)}
      </select>
      <label class="unseen" for={`${id}-order`}>Order</label>
      <select id={`${id}-order`} value={query.order} onChange={({ currentTarget: { value } }) => onChange(() => ({ order: value as Order }))}>
        {ORDERS.map(([order, label]) => <option key={order} value={order}>{label}</option>)}
      </select>
      <div class="layouts" role="group" aria-label="Layout">
        {(["grid", "list"] as const).map((each) => (
          <button
            key={each}
            type="button"
            class="plain"
            aria-pressed={layout === each}
            aria-label={each === "grid" ? "Grid" : "List"}
            title={each === "grid" ? "Grid" : "List"}
            onClick={() => onLayout(each)}
          >
            <Icon name={each} />
          </button>
        ))}
      </div>
      {shows && <TagFilter chosen={query.tags} onChoose={(choose) => onChange(({ tags }) => ({ tags: choose(tags) }))} />}
    </search>
  );
}

function useTags(): Tag[] {
  const [tags, setTags] = useState<Tag[]>([]);
  const look = useCallback(() => void listTags().then(setTags, () => undefined), []);
  useEffect(look, [look]);
  useNews("files", look);
  return tags;
}

function TagFilter({ chosen, onChoose }: { chosen: string[]; onChoose: (choose: (tags: string[]) => string[]) => void }) {
  const tags = useTags();
  const [all, setAll] = useState(false);
  const used = tags.filter(({ files }) => files > 0).sort((a, b) => b.files - a.files);
  const shown = all ? used : used.slice(0, TAGS_SHOWN);
  const names = [...new Set([...chosen, ...shown.map(({ name }) => name)])];
  if (names.length === 0) return null;
  const toggle = (name: string) => onChoose((now) => (now.includes(name) ? now.filter((other) => other !== name) : [...now, name]));
  return (
    <div class="tags" role="group" aria-label="Filter by tags">
      {names.map((name) => (
        <button key={name} type="button" class="tag" aria-pressed={chosen.includes(name)} onClick={() => toggle(name)}>{name}</button>
      ))}
      {used.length > TAGS_SHOWN && (
        <button type="button" class="link-like" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Fewer tags" : `All ${used.length.toLocaleString()} tags`}
        </button>
      )}
    </div>
  );
}
