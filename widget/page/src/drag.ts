/** Files and folders of the library that are dragged onto a folder. */

import { move } from "./actions.js";
import { type Item, staysAt } from "./files.js";
import { announce } from "./live.js";
import { sentenceHere } from "./words.js";

const TYPE = "application/x-lading";

/** What is being dragged: a drop on another page must not see it. */
let dragged: Item[] = [];

export function startDrag(event: DragEvent, items: Item[]): void {
  if (!event.dataTransfer) return;
  dragged = items;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData(TYPE, String(items.length));
}

interface Target {
  onDragOver: (event: DragEvent) => void;
  onDragLeave: (event: DragEvent) => void;
  onDrop: (event: DragEvent) => void;
}

/** What makes an element a place to drop files and folders on. */
export function dropTarget(directory: string, onMoved: (ids: ReadonlySet<string>) => void): Target {
  const mark = (event: DragEvent, on: boolean) => (event.currentTarget as Element).classList.toggle("drop-here", on);
  const fits = (event: DragEvent) => {
    const types = event.dataTransfer?.types ?? [];
    return types.includes("Files") || (types.includes(TYPE) && dragged.some((item) => !staysAt(item, directory)));
  };
  return {
    onDragOver: (event) => {
      if (!fits(event)) return;
      event.preventDefault();
      mark(event, true);
    },
    onDragLeave: (event) => void mark(event, false),
    onDrop: (event) => {
      mark(event, false);
      if (!event.dataTransfer?.types.includes(TYPE)) return;
      event.preventDefault();
      move(dragged, directory).then(onMoved, (error: unknown) => announce(sentenceHere(error), "assertive"));
    },
  };
}
