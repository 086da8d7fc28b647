/** The files on the server: folders, search, order, several selected at once. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type FileQuery, isSearch } from "./api.js";
import { useFiles, useFolders, itemsOf, type Item, lastOf, parentOf } from "./files.js";
import { Crumbs } from "./folders.js";
import { Icon } from "./icons.js";
import { type Layout, Items } from "./items.js";
import type { Placed } from "./place.js";
import { Search } from "./search.js";
import { Selection, useSelection } from "./selection.js";
import { RequestDialog } from "./share.js";
import { count } from "./uploads.js";

const LAYOUT = "lading-layout";

function useLayout(): [Layout, (layout: Layout) => void] {
  const [layout, setLayout] = useState<Layout>(() => (remembered() === "list" ? "list" : "grid"));
  const choose = (chosen: Layout) => {
    setLayout(chosen);
    try {
      localStorage.setItem(LAYOUT, chosen);
    } catch {
      // The browser keeps nothing for this page.
    }
  };
  return [layout, choose];
}

function remembered(): string | null {
  try {
    return localStorage.getItem(LAYOUT);
  } catch {
    return null;
  }
}

interface LibraryProps {
  place: Placed;
  /** The ids of the files in the order of the list, for the viewer. */
  onList: (ids: string[]) => void;
}

export function Library({ place, onList }: LibraryProps) {
  const { directory } = place;
  const [asked, setAsked] = useState<Omit<FileQuery, "directory">>({ search: "", tags: [], kind: "", order: "-created" });
  const query = useMemo(() => ({ ...asked, directory }), [asked, directory]);
  const [layout, setLayout] = useLayout();
  const [requesting, setRequesting] = useState(false);
  const { files, more, failure, load, drop } = useFiles(query);
  const folders = useFolders(directory);
  const items = useMemo(() => itemsOf(query, folders, files), [query, folders, files]);
  const selection = useSelection(items);
  const searching = isSearch(query);
  const change = useCallback((how: (before: FileQuery) => Partial<FileQuery>) => {
    setAsked((before) => ({ ...before, ...how({ ...before, directory: "" }) }));
  }, []);
  useEffect(() => onList((files ?? []).map(({ _id }) => _id)), [files]);
  useEffect(() => selection.clear(), [directory]);
  const open = (item: Item) => place.go(item.folder ? { directory: item.folder.directory, open: null } : { open: item.file._id });
  const known = files !== null && (searching || folders !== null);
  return (
    <section class="library" aria-labelledby="library">
      <div class="library-head">
        <h2 id="library" tabIndex={-1} class={directory ? "unseen" : ""}>{directory ? `Library: ${lastOf(directory)}` : "Library"}</h2>
        {directory && <Crumbs directory={directory} onMoved={drop} />}
        <p class="hint" role="status">{known && toldOf(items, more)}</p>
        {directory && <button type="button" class="small ask" onClick={() => setRequesting(true)}><Icon name="download" /> Ask for files</button>}
        <NewFolder directory={directory} onMade={(made) => place.go({ directory: made })} />
      </div>
      <Search query={query} onChange={change} layout={layout} onLayout={setLayout} ready={files !== null} />
      {requesting && <RequestDialog directory={directory} onClose={() => setRequesting(false)} />}
      {failure && <p class="problem" role="alert">{failure}</p>}
      <Selection selection={selection} onGone={drop} />
      {known && items.length === 0 && <Empty searching={searching} directory={directory} />}
      <Items
        key={directory}
        items={items}
        layout={layout}
        selection={selection}
        onOpen={open}
        onMoved={drop}
        onUp={() => directory && place.go({ directory: parentOf(directory) })}
        // While the folders are not known, files would jump down.
        hidden={!known}
        more={more}
        onMore={load}
      />
    </section>
  );
}

function toldOf(items: Item[], more: boolean): string {
  const folders = items.filter(({ folder }) => folder).length;
  const files = items.length - folders;
  const told = [
    ...(folders > 0 ? [`${folders.toLocaleString("en")} ${folders === 1 ? "folder" : "folders"}`] : []),
    ...(files > 0 || folders === 0 ? [count(files)] : []),
  ].join(", ");
  return more ? `${told}, and more` : told;
}

function Empty({ searching, directory }: { searching: boolean; directory: string }) {
  const text = directory
    ? "This folder is empty. Files that you upload now are put into it."
    : "No files yet. Files that you upload appear here.";
  return (
    <div class="empty">
      <Icon name={searching ? "search" : directory ? "folder" : "video"} />
      <p>{searching ? "No files match." : text}</p>
      {searching && directory && <p class="hint">Only {directory} and the folders in it were searched.</p>}
    </div>
  );
}

/** A folder exists as long as a file is in it: a new one is shown at once, and is kept with its first file. */
function NewFolder({ directory, onMade }: { directory: string; onMade: (directory: string) => void }) {
  const [asking, setAsking] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [asking]);
  if (!asking) {
    return <button type="button" class="small" onClick={() => setAsking(true)}><Icon name="new" /> New folder</button>;
  }
  const make = (event: SubmitEvent) => {
    event.preventDefault();
    const name = field.current?.value.trim() ?? "";
    if (name === "") return;
    setAsking(false);
    onMade([directory, name].filter(Boolean).join("/"));
  };
  return (
    <form class="joined new-folder" onSubmit={make} onKeyDown={(event) => event.key === "Escape" && setAsking(false)}>
      <input ref={field} aria-label="Name of the new folder" placeholder="Name of the folder" maxLength={255} />
      <button type="submit" class="primary">Create</button>
    </form>
  );
}
