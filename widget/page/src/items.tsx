/** The grid or list of folders and files: only what is in view exists, and more is loaded as somebody scrolls. */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Manifest } from "./api.js";
import { type Item, nameOf } from "./files.js";
import { dropTarget, startDrag } from "./drag.js";
import { Icon, kindOf } from "./icons.js";
import { GRID, LIST, mayHavePicture, Picture } from "./picture.js";
import type { Selected } from "./selection.js";
import { count } from "./uploads.js";
import { useVirtualPage } from "./virtual.js";
import { date, duration, moment, size } from "./words.js";

export type Layout = "grid" | "list";

/** Pixels: between cards, the least width of a card, what is below its picture, a folder in a grid, and the rows of a list. */
const [GAP, LEAST, TEXT, FOLDER, LINE] = [16, 208, 96, 64, 60];
/** The next page is loaded so many rows before the end. */
const AHEAD = 12;

interface ItemsProps {
  items: Item[];
  layout: Layout;
  selection: Selected;
  onOpen: (item: Item) => void;
  onMoved: (ids: ReadonlySet<string>) => void;
  /** To the folder above. */
  onUp: () => void;
  hidden: boolean;
  more: boolean;
  onMore: () => void;
}

/** The width of the element, and where it begins on the page. */
function useBox(place: RefObject<HTMLElement>): { width: number; top: number } {
  const [box, setBox] = useState({ width: 0, top: 0 });
  const look = () => {
    const element = place.current;
    if (!element) return;
    const { width, top } = element.getBoundingClientRect();
    const now = { width: Math.floor(width), top: Math.round(top + window.scrollY) };
    setBox((before) => (before.width === now.width && before.top === now.top ? before : now));
  };
  useLayoutEffect(look);
  useEffect(() => {
    const seen = new ResizeObserver(look);
    if (place.current) seen.observe(place.current);
    // What is above the list may grow.
    seen.observe(document.body);
    return () => seen.disconnect();
  }, []);
  return box;
}

export function Items({ items, layout, selection, onOpen, onMoved, onUp, hidden, more, onMore }: ItemsProps) {
  const place = useRef<HTMLUListElement>(null);
  const { width, top } = useBox(place);
  const columns = layout === "list" ? 1 : Math.max(2, Math.floor((width + GAP) / (LEAST + GAP)));
  const card = (width - GAP * (columns - 1)) / columns;
  const folders = items.findLastIndex(({ folder }) => folder) + 1;
  const folderRows = Math.ceil(folders / columns);
  const rows = folderRows + Math.ceil((items.length - folders) / columns);
  const tall = layout === "list" ? LINE : Math.round(card * 0.625) + TEXT + GAP;
  const heightOf = (row: number) => (layout === "grid" && row < folderRows ? FOLDER + GAP : tall);
  const rowOf = (index: number) => Math.floor(index < folders ? index / columns : folderRows + (index - folders) / columns);
  const { items: visible, height, scrollTo } = useVirtualPage({ count: rows, row: heightOf, shape: `${tall} ${layout} ${folderRows}`, top });
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && width > 0 && last >= rows - AHEAD) onMore();
  }, [more, last, rows, width, onMore]);
  const focused = useFocus(place, (index) => scrollTo(rowOf(index)));

  const press = (event: KeyboardEvent) => {
    const from = Number((event.target as Element).closest<HTMLElement>("[data-index]")?.dataset["index"] ?? -1);
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -from, End: items.length - 1 - from };
    const item = items[from];
    const control = event.ctrlKey || event.metaKey;
    if (event.altKey && event.key === "ArrowUp") onUp();
    else if (event.key in steps && !event.altKey) {
      const to = from + (steps[event.key] ?? 0);
      if (!items[to]) return;
      focused(to);
      if (event.shiftKey && items[to]) selection.range(from, to);
    } else if (control && event.key.toLowerCase() === "a") selection.all();
    else if (event.key === "Escape" && selection.size > 0) selection.clear();
    else if (event.key === "Enter" && item && event.target instanceof HTMLInputElement) onOpen(item);
    else if (event.key === "Delete" && item) selection.ask("delete", item);
    else return;
    event.preventDefault();
  };
  const cells = visible.flatMap(({ index: row, start, size }) => {
    const first = row < folderRows ? row * columns : folders + (row - folderRows) * columns;
    const most = Math.min(columns, (row < folderRows ? folders : items.length) - first);
    const height = size - (layout === "grid" ? GAP : 0);
    return Array.from({ length: most }, (_, column) => ({ at: first + column, box: { x: column * (card + GAP), y: start - top, width: card, height } }));
  });
  return (
    <ul
      ref={place}
      class={layout === "grid" ? "cards" : "cards lines"}
      aria-label="Files"
      style={{ height: `${height}px` }}
      onKeyDown={press}
    >
      {!hidden && width > 0 && cells.map(({ at, box }) => {
        const item = items[at];
        return item && (
          <Card
            key={item.key}
            item={item}
            index={at}
            total={more ? -1 : items.length}
            box={box}
            layout={layout}
            selection={selection}
            onOpen={() => onOpen(item)}
            onMoved={onMoved}
          />
        );
      })}
    </ul>
  );
}

/** Moves the focus to an item, which may have to be rendered first. */
function useFocus(place: RefObject<HTMLElement>, show: (index: number) => void): (index: number) => void {
  const wanted = useRef<number | null>(null);
  const attempt = () => {
    if (wanted.current === null) return;
    const found = place.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"] .card-open`);
    if (!found) return;
    found.focus({ preventScroll: true });
    wanted.current = null;
  };
  useEffect(attempt);
  return (index) => {
    wanted.current = index;
    show(index);
    attempt();
  };
}

interface CardProps {
  item: Item;
  index: number;
  /** -1 while there are more than are known. */
  total: number;
  box: { x: number; y: number; width: number; height: number };
  layout: Layout;
  selection: Selected;
  onOpen: () => void;
  onMoved: (ids: ReadonlySet<string>) => void;
}

function Card({ item, index, total, box, layout, selection, onOpen, onMoved }: CardProps) {
  const name = nameOf(item);
  const selected = selection.has(item.key);
  const shift = useRef(false);
  const choose = (range: boolean) => (range ? selection.upTo(index) : selection.toggle(index));
  const click = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) choose(event.shiftKey);
    else onOpen();
  };
  const { folder } = item;
  return (
    <li
      class={`card${selected ? " selected" : ""}${folder ? " folder" : ""}`}
      style={{ transform: `translate(${box.x}px, ${box.y}px)`, width: `${box.width}px`, height: `${box.height}px` }}
      data-index={index}
      data-folder={folder?.directory}
      aria-posinset={index + 1}
      aria-setsize={total}
      draggable
      onDragStart={(event) => startDrag(event, selection.with(item))}
      {...(folder ? dropTarget(folder.directory, onMoved) : {})}
    >
      <input
        type="checkbox"
        class="card-check"
        checked={selected}
        aria-label={`Select ${name}`}
        onClick={(event) => (shift.current = event.shiftKey)}
        onChange={(event) => {
          if (shift.current) event.currentTarget.checked = true;
          choose(shift.current);
        }}
      />
      <button type="button" class="card-open" onClick={click}>
        {folder ? <span class="preview folder"><Icon name="folder" /></span> : <Preview file={item.file} small={layout === "list"} />}
        <span class="card-name breakable" dir="auto">{name}</span>
      </button>
      {folder ? (
        <p class="hint cut card-facts">{count(folder.files)} · {size(folder.size)}</p>
      ) : (
        <FileFacts file={item.file} />
      )}
    </li>
  );
}

function FileFacts({ file }: { file: Manifest }) {
  return (
    <>
      <p class="hint cut card-facts">
        {size(file.size ?? 0)}
        <span class="card-when"> · <time dateTime={file.created_at} title={moment(file.created_at)}>{date(file.created_at)}</time></span>
      </p>
      {file.tags.length > 0 && (
        <ul class="tags" aria-label={`Tags of ${file.name}`}>
          {file.tags.map((tag) => <li key={tag} class="tag small">{tag}</li>)}
        </ul>
      )}
    </>
  );
}

function Preview({ file, small }: { file: Manifest; small: boolean }) {
  const [none, setNone] = useState(false);
  const kind = kindOf(file.mime_type);
  const length = file.media?.duration;
  return (
    <span class={`preview ${kind}`}>
      {mayHavePicture(file) && !none
        ? <Picture file={file} quality={small ? LIST : GRID} alt="" preview onNone={() => setNone(true)} />
        : <Icon name={kind} />}
      {kind !== "image" && kind !== "file" && !small && (
        <span class="preview-play"><Icon name="play" />{length ? <span>{duration(length)}</span> : null}</span>
      )}
    </span>
  );
}

