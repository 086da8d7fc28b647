/** Several files and folders at once: chosen, and what is done with them. */

import { useMemo, useRef, useState } from "preact/hooks";
import { download, move, remove, rename, tag, things } from "./actions.js";
import type { Manifest } from "./api.js";
import { Confirm, Dialog } from "./dialog.js";
import { type Item, lastOf, nameOf, parentOf, useFolders } from "./files.js";
import { Icon } from "./icons.js";
import { ShareDialog } from "./share.js";
import { joined } from "./uploads.js";
import { sentenceHere, size } from "./words.js";

type Act = "move" | "tag" | "share" | "delete" | "rename";

/** What is selected, and how that is changed. */
export interface Selected {
  size: number;
  items: Item[];
  has: (key: string) => boolean;
  toggle: (index: number) => void;
  /** From the last one that was toggled. */
  upTo: (index: number) => void;
  range: (from: number, to: number) => void;
  all: () => void;
  clear: () => void;
  /** The item, with all that is selected if it is one of these. */
  with: (item: Item) => Item[];
  /** Ask for what is to be done; with the item alone, if it is not selected. */
  ask: (act: Act, item?: Item) => void;
  asked: { act: Act; items: Item[] } | null;
  answered: () => void;
}

export function useSelection(items: Item[]): Selected {
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Selected["asked"]>(null);
  const anchor = useRef(0);
  // What is gone is not selected any more.
  const chosen = useMemo(() => items.filter(({ key }) => keys.has(key)), [items, keys]);
  const add = (from: number, to: number) => {
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    setKeys(new Set([...keys, ...items.slice(first, last + 1).map(({ key }) => key)]));
  };
  const withItem = (item: Item) => (keys.has(item.key) ? chosen : [item]);
  return {
    size: chosen.length,
    items: chosen,
    has: (key) => keys.has(key),
    toggle: (index) => {
      const key = items[index]?.key;
      if (key === undefined) return;
      anchor.current = index;
      const after = new Set(keys);
      if (!after.delete(key)) after.add(key);
      setKeys(after);
    },
    upTo: (index) => add(anchor.current, index),
    range: add,
    all: () => setKeys(new Set(items.map(({ key }) => key))),
    clear: () => setKeys(new Set()),
    with: withItem,
    ask: (act, item) => setAsked({ act, items: item ? withItem(item) : chosen }),
    asked,
    answered: () => setAsked(null),
  };
}

interface SelectionProps {
  selection: Selected;
  /** These are no longer in the list. */
  onGone: (keys: ReadonlySet<string>) => void;
}

export function Selection({ selection, onGone }: SelectionProps) {
  const { items, asked, answered } = selection;
  const bytes = items.reduce((sum, { file, folder }) => sum + (file?.size ?? folder?.size ?? 0), 0);
  const one = items.length === 1 ? items[0] : undefined;
  const gone = (keys: ReadonlySet<string>) => {
    onGone(keys);
    selection.clear();
    document.getElementById("library")?.focus();
  };
  return (
    <>
      {items.length > 0 && (
        <div class="selection" role="toolbar" aria-label="Selected">
          <p role="status">{things(items)} · {size(bytes)}</p>
          <button type="button" class="small" onClick={() => download(items)}><Icon name="download" /> Download</button>
          <button type="button" class="small" onClick={() => selection.ask("move")}><Icon name="move" /> Move</button>
          {items.some(({ file }) => file) && (
            <button type="button" class="small" onClick={() => selection.ask("tag")}><Icon name="tag" /> Tag</button>
          )}
          {one && <button type="button" class="small" onClick={() => selection.ask("share")}><Icon name="share" /> Share</button>}
          {one?.folder && <button type="button" class="small" onClick={() => selection.ask("rename")}><Icon name="edit" /> Rename</button>}
          <button type="button" class="small danger-plain" onClick={() => selection.ask("delete")}><Icon name="trash" /> Delete</button>
          <button type="button" class="plain" aria-label="Select nothing" onClick={selection.clear}><Icon name="close" /></button>
        </div>
      )}
      {asked?.act === "delete" && (
        <Confirm
          title={`Delete ${things(asked.items)}?`}
          text={deletion(asked.items)}
          action="Delete"
          onConfirm={async () => gone((await remove(asked.items)).keys)}
          onClose={answered}
        />
      )}
      {asked?.act === "move" && <MoveDialog items={asked.items} onMoved={gone} onClose={answered} />}
      {asked?.act === "tag" && <TagDialog files={asked.items.flatMap(({ file }) => file ?? [])} onClose={answered} />}
      {asked?.act === "rename" && asked.items[0]?.folder && (
        <RenameDialog directory={asked.items[0].folder.directory} onDone={() => gone(new Set())} onClose={answered} />
      )}
      {asked?.act === "share" && asked.items[0] && <ShareDialog item={asked.items[0]} onClose={answered} />}
    </>
  );
}

function deletion(items: Item[]): string {
  const [first] = items;
  const what = items.length === 1 && first ? nameOf(first) : things(items);
  const below = items.some(({ folder }) => folder) ? " with all files in them" : "";
  return `${what}${below} will be deleted, and links to ${items.length === 1 ? "it" : "them"} will stop working. You can undo this, as long as it is in the trash.`;
}

interface DialogProps {
  onClose: () => void;
}

/** Chooses the folder that things are moved to. */
export function MoveDialog({ items, onMoved, onClose }: DialogProps & { items: Item[]; onMoved: (keys: ReadonlySet<string>) => void }) {
  const [first] = items;
  const [at, setAt] = useState(first?.file?.directory ?? parentOf(first?.folder?.directory ?? ""));
  const [made, setMade] = useState("");
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const folders = useFolders(at);
  const moving = new Set(items.flatMap(({ folder }) => folder?.directory ?? []));
  const to = joined(at, made.trim());
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      const moved = await move(items, to);
      onClose();
      onMoved(moved);
    } catch (error) {
      setFailure(sentenceHere(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Move ${things(items)}`} onClose={onClose}>
      <form class="form" onSubmit={submit}>
        <div class="picker">
          {at !== "" && (
            <button type="button" class="picker-row" onClick={() => setAt(parentOf(at))}>
              <Icon name="previous" /> {parentOf(at) ? lastOf(parentOf(at)) : "Library"}
            </button>
          )}
          <p class="picker-here breakable"><Icon name="folder" /> <strong dir="auto">{at || "Library"}</strong></p>
          <ul aria-label={`Folders in ${at || "the library"}`}>
            {folders?.filter(({ directory }) => !moving.has(directory)).map(({ directory }) => (
              <li key={directory}>
                <button type="button" class="picker-row" dir="auto" onClick={() => setAt(directory)}>
                  <Icon name="folder" /> {lastOf(directory)}
                </button>
              </li>
            ))}
          </ul>
        </div>
        <label for="move-new">New folder in it</label>
        <input id="move-new" value={made} maxLength={255} placeholder="None" onInput={(event) => setMade(event.currentTarget.value)} />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary" disabled={busy}>Move to {to ? lastOf(to) : "Library"}</button>
      </form>
    </Dialog>
  );
}

function RenameDialog({ directory, onDone, onClose }: DialogProps & { directory: string; onDone: () => void }) {
  const [failure, setFailure] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const name = field.current?.value.trim() ?? "";
    if (name === "" || name === lastOf(directory)) return onClose();
    try {
      await rename(directory, name);
      onClose();
      onDone();
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <Dialog title="Rename the folder" onClose={onClose}>
      <form class="form" onSubmit={submit}>
        <label for="folder-name">Name</label>
        <input id="folder-name" ref={field} defaultValue={lastOf(directory)} required dir="auto" autofocus />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary">Rename</button>
      </form>
    </Dialog>
  );
}

/** The tags that all of the files have, to be changed for all. */
function TagDialog({ files, onClose }: DialogProps & { files: Manifest[] }) {
  const [tags, setTags] = useState(() => [...new Set(files.flatMap((file) => file.tags))].sort());
  const [added, setAdded] = useState<string[]>([]);
  const [removed, setRemoved] = useState<string[]>([]);
  const [failure, setFailure] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const add = () => {
    const name = field.current?.value.trim() ?? "";
    if (field.current) field.current.value = "";
    field.current?.focus();
    if (name === "") return;
    setTags((before) => [...new Set([...before, name])]);
    setAdded((before) => [...new Set([...before, name])]);
    setRemoved((before) => before.filter((each) => each !== name));
  };
  const take = (name: string) => {
    setTags((before) => before.filter((each) => each !== name));
    setAdded((before) => before.filter((each) => each !== name));
    setRemoved((before) => [...before, name]);
    field.current?.focus();
  };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const typed = field.current?.value.trim();
    try {
      await tag(files, typed ? [...added, typed] : added, removed);
      onClose();
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <Dialog title={`Tags of ${things(files.map((file) => ({ key: file._id, file })))}`} onClose={onClose}>
      <form class="form" onSubmit={submit}>
        {tags.length > 0 && (
          <ul class="tags" aria-label="Tags">
            {tags.map((name) => {
              const some = !added.includes(name) && !files.every((file) => file.tags.includes(name));
              return (
                <li key={name} class="tag">
                  {name}{some && <span class="hint">&nbsp;(some)</span>}
                  <button type="button" class="plain" aria-label={`Remove the tag ${name}`} onClick={() => take(name)}><Icon name="close" /></button>
                </li>
              );
            })}
          </ul>
        )}
        <label for="tag-name">Add a tag</label>
        <div class="joined">
          <input id="tag-name" ref={field} maxLength={128} autofocus onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }} />
          <button type="button" onClick={add}>Add</button>
        </div>
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary">Save</button>
      </form>
    </Dialog>
  );
}
