/** What is done to several files and folders at once. */

import { changeFile, deleteFile, deleteFolder, type Manifest, moveFolder, restoreFile } from "./api.js";
import { downloads, type Item, lastOf, nameOf, parentOf, staysAt } from "./files.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { notify } from "./notice.js";
import { joined } from "./uploads.js";

/** Requests at once. */
const AT_ONCE = 4;

/** Do the work for each; the first error is thrown when all others are done. */
export async function each<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  const errors: unknown[] = [];
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      await work(next).catch((error: unknown) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  if (errors.length > 0) throw errors[0];
}

export const things = (items: readonly Item[]): string => {
  const folders = items.filter(({ folder }) => folder).length;
  const files = items.length - folders;
  const told = [
    folders > 0 && `${folders.toLocaleString("en")} ${folders === 1 ? "folder" : "folders"}`,
    files > 0 && `${files.toLocaleString("en")} ${files === 1 ? "file" : "files"}`,
  ];
  return told.filter(Boolean).join(" and ");
};

const keysOf = (items: readonly Item[]) => new Set(items.map(({ key }) => key));

function changed(): void {
  tell("files");
  tell("folders");
}

/** Move files and folders into a folder. Returns the keys of those that moved. */
export async function move(items: readonly Item[], directory: string): Promise<ReadonlySet<string>> {
  const moving = items.filter((item) => !staysAt(item, directory));
  try {
    await each(moving, ({ file, folder }) =>
      folder
        ? moveFolder(folder.directory, joined(directory, lastOf(folder.directory)))
        : changeFile(file._id, { directory }),
    );
  } finally {
    changed();
  }
  if (moving.length > 0) announce(`${things(moving)} moved to ${directory || "the library"}.`);
  return keysOf(moving);
}

export async function rename(directory: string, name: string): Promise<void> {
  await moveFolder(directory, joined(parentOf(directory), name));
  changed();
  announce(`Renamed to ${name}.`);
}

/** What became of things that were deleted. */
export interface Removed {
  keys: ReadonlySet<string>;
  /** The ids of the files that are in the trash now. */
  trashed: string[];
}

export async function remove(items: readonly Item[]): Promise<Removed> {
  const trashed: string[] = [];
  const work = async ({ file, folder }: Item) => {
    if (folder) await deleteFolder(folder.directory);
    else if (await deleteFile(file._id)) trashed.push(file._id);
  };
  try {
    await each(items, work);
  } finally {
    changed();
  }
  tellOf(items, trashed);
  return { keys: keysOf(items), trashed };
}

function tellOf(items: readonly Item[], trashed: string[]): void {
  const [first] = items;
  const what = items.length === 1 && first ? nameOf(first) : things(items);
  const whole = trashed.length === items.length;
  notify({
    text: whole ? `${what} moved to the trash.` : `${what} deleted.`,
    ...(whole ? { undo: () => restore(trashed) } : {}),
  });
}

/** Put files back, wherever they were. */
export async function restore(ids: readonly string[]): Promise<void> {
  try {
    await each(ids, restoreFile);
  } finally {
    changed();
  }
}

/** Add tags to files, and take others away. */
export async function tag(files: readonly Manifest[], add: readonly string[], without: readonly string[]): Promise<void> {
  const work = (file: Manifest) => {
    const tags = [...new Set([...file.tags.filter((each) => !without.includes(each)), ...add])];
    return tags.join("\0") === file.tags.join("\0") ? Promise.resolve() : changeFile(file._id, { tags });
  };
  try {
    await each(files, work);
  } finally {
    changed();
  }
}

export function download(items: readonly Item[]): void {
  for (const address of downloads(items)) {
    const link = document.createElement("a");
    link.href = address;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
  }
}
