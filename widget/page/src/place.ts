/**
 * What the page shows, as part of its address: so that it has a link, and the back button works.
 *
 * `#/a/b/` is a folder; with an id behind it one of its files is open. `#links`, `#trash` and `#admin` are views.
 */

import { useEffect, useState } from "preact/hooks";

export type View = "files" | "links" | "trash" | "admin";

export interface Place {
  view: View;
  /** The folder that is shown; empty for the root. */
  directory: string;
  /** The id of the file that is open. */
  open: string | null;
}

const ID = /^[0-9a-f]{24}$/;
const VIEWS: readonly string[] = ["links", "trash", "admin"];

export function placeOf(hash: string): Place {
  const parts = hash.replace(/^#/, "").split("/");
  const last = parts.pop() ?? "";
  if (parts.length === 0 && VIEWS.includes(last)) return { view: last as View, directory: "", open: null };
  const directory = parts.filter(Boolean).map(decoded).join("/");
  return { view: "files", directory, open: ID.test(last) ? last : null };
}

export function hashOf({ view, directory, open }: Place): string {
  if (view !== "files") return `#${view}`;
  const folder = directory ? `/${directory.split("/").map(encodeURIComponent).join("/")}/` : "";
  return `#${folder}${open ?? ""}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export interface Placed extends Place {
  go: (change: Partial<Place>) => void;
  /** Go without a step in the history. */
  swap: (change: Partial<Place>) => void;
}

export function usePlace(): Placed {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const look = () => setPlace(placeOf(location.hash));
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  const after = (change: Partial<Place>) => hashOf({ ...placeOf(location.hash), ...change });
  return {
    ...place,
    go: (change) => (location.hash = after(change)),
    swap: (change) => location.replace(after(change) || "#"),
  };
}
