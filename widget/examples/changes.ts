import { type Changed, watch } from "lading";

/** Keeps a list of files current. */
export function keepCurrent(files: Map<string, Changed>, readAgain: () => void): () => void {
  return watch((change) => {
    if (change.type === "resync") readAgain();
    else if (change.type === "file.changed") files.set(change.data._id, change.data);
    else if (change.type === "file.deleted") files.delete(change.data._id);
  });
}
