/** Reads what was dropped or pasted: files, and folders with all that is in them. */

/** A file with its path inside the dropped folder; null for a file that was dropped itself. */
export type Dropped = File & { relativePath: string | null };

export interface Drop {
  files: Dropped[];
  /** Paths of files and folders that the browser could not read. */
  unreadable: string[];
}

/** Call it in the event's handler: afterwards the browser forgets the items. */
export async function readDrop(transfer: DataTransfer): Promise<Drop> {
  const drop: Drop = { files: [], unreadable: [] };
  const folders: FileSystemDirectoryEntry[] = [];
  for (const item of transfer.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry();
    const file = entry?.isDirectory ? null : item.getAsFile();
    if (entry?.isDirectory) folders.push(entry as FileSystemDirectoryEntry);
    else if (file) drop.files.push(placed(file, null));
    else drop.unreadable.push(entry?.name ?? "?");
  }
  for (const folder of folders) await readFolder(folder, drop);
  return drop;
}

async function readFolder(folder: FileSystemDirectoryEntry, drop: Drop): Promise<void> {
  const reader = folder.createReader();
  for (;;) {
    let entries: FileSystemEntry[];
    try {
      entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    } catch {
      drop.unreadable.push(pathOf(folder));
      return;
    }
    // The browser returns a hundred at a time, and none at the end.
    if (entries.length === 0) return;
    await Promise.all(entries.filter(({ isFile }) => isFile).map((entry) => readFile(entry as FileSystemFileEntry, drop)));
    for (const entry of entries) {
      if (entry.isDirectory) await readFolder(entry as FileSystemDirectoryEntry, drop);
    }
  }
}

async function readFile(entry: FileSystemFileEntry, drop: Drop): Promise<void> {
  try {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    drop.files.push(placed(file, pathOf(entry)));
  } catch {
    drop.unreadable.push(pathOf(entry));
  }
}

const pathOf = (entry: FileSystemEntry) => entry.fullPath.replace(/^\//, "");

function placed(file: File, relativePath: string | null): Dropped {
  return Object.assign(file, { relativePath });
}
