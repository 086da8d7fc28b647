/** Folders: the path to the one that is shown, and all of them as a tree. */

import { useEffect, useState } from "preact/hooks";
import { dropTarget } from "./drag.js";
import { lastOf, parentOf, useFolders } from "./files.js";
import { Icon } from "./icons.js";
import { hashOf } from "./place.js";

export const folderHref = (directory: string) => hashOf({ view: "files", directory, open: null }) || "#";

type Moved = (ids: ReadonlySet<string>) => void;

/** A link to each folder above the one that is shown. */
export function Crumbs({ directory, onMoved }: { directory: string; onMoved: Moved }) {
  const above: string[] = [];
  for (let at = parentOf(directory); at !== ""; at = parentOf(at)) above.unshift(at);
  return (
    <nav class="crumbs" aria-label="Path">
      <ol>
        {["", ...above].map((each) => (
          <li key={each}>
            <a href={folderHref(each)} data-folder={each} {...dropTarget(each, onMoved)}>{each ? lastOf(each) : "Library"}</a>
          </li>
        ))}
        <li><span aria-current="page" dir="auto">{lastOf(directory)}</span></li>
      </ol>
    </nav>
  );
}

/** All folders as a tree, of which branches are loaded when they are opened. */
export function Tree({ directory, onMoved }: { directory: string; onMoved: Moved }) {
  const root = useFolders("");
  if (!root?.length) return null;
  return (
    <nav class="panel tree" aria-label="Folders">
      <h2>Folders</h2>
      <a class="tree-link" href="#" aria-current={directory === "" ? "page" : undefined} data-folder="" {...dropTarget("", onMoved)}>
        <Icon name="folder" /> Library
      </a>
      <Branch of="" shown={directory} onMoved={onMoved} />
    </nav>
  );
}

function Branch({ of, shown, onMoved }: { of: string; shown: string; onMoved: Moved }) {
  const folders = useFolders(of);
  if (folders === null) return <p class="hint">…</p>;
  if (folders.length === 0) return <p class="hint">No folders in it</p>;
  return (
    <ul>
      {folders.map(({ directory }) => <Node key={directory} directory={directory} shown={shown} onMoved={onMoved} />)}
    </ul>
  );
}

function Node({ directory, shown, onMoved }: { directory: string; shown: string; onMoved: Moved }) {
  const name = lastOf(directory);
  const within = shown.startsWith(`${directory}/`);
  const [open, setOpen] = useState(within);
  useEffect(() => {
    if (within) setOpen(true);
  }, [within]);
  return (
    <li>
      <div class="tree-node">
        <button
          type="button"
          class={`plain tree-toggle${open ? " open" : ""}`}
          aria-expanded={open}
          aria-label={`Folders in ${name}`}
          onClick={() => setOpen(!open)}
        >
          <Icon name="next" />
        </button>
        <a
          class="tree-link cut"
          href={folderHref(directory)}
          aria-current={shown === directory ? "page" : undefined}
          data-folder={directory}
          dir="auto"
          {...dropTarget(directory, onMoved)}
        >
          {name}
        </a>
      </div>
      {open && <Branch of={directory} shown={shown} onMoved={onMoved} />}
    </li>
  );
}
