import { expect, test } from "vitest";

import { readDrop } from "../../page/src/drop.js";

function file(path: string, broken = false): object {
  const name = path.split("/").at(-1) ?? "";
  return {
    name,
    isFile: true,
    isDirectory: false,
    fullPath: path,
    file: (found: (file: File) => void, failed: (error: Error) => void) =>
      broken ? failed(new DOMException("denied", "NotReadableError")) : found(new File([path], name)),
  };
}

/** Entries come a hundred at a time, as in Chromium. */
function folder(path: string, entries: readonly object[], fails = false): object {
  const left = [...entries];
  return {
    name: path.split("/").at(-1),
    isFile: false,
    isDirectory: true,
    fullPath: path,
    createReader: () => ({
      readEntries: (found: (entries: object[]) => void, failed: (error: Error) => void) =>
        fails && left.length === 0 ? failed(new DOMException("gone", "NotFoundError")) : found(left.splice(0, 100)),
    }),
  };
}

function drop(...entries: object[]): DataTransfer {
  const items = entries.map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry, getAsFile: () => null }));
  return { items } as unknown as DataTransfer;
}

test("a folder is read whole, with the paths of its files", async () => {
  const many = Array.from({ length: 250 }, (_, each) => file(`/top/f${each}`));
  const { files, unreadable } = await readDrop(drop(folder("/top", [...many, folder("/top/sub", [file("/top/sub/deep")])])));
  expect(unreadable).toEqual([]);
  expect(files).toHaveLength(251);
  expect(files.map(({ relativePath }) => relativePath)).toContain("top/sub/deep");
});

test("what cannot be read is named, and the rest is read", async () => {
  const top = folder("/top", [file("/top/a"), file("/top/secret", true), folder("/top/locked", [], true), file("/top/b")]);
  const { files, unreadable } = await readDrop(drop(top, folder("/cut", [file("/cut/c")], true)));
  expect(files.map(({ name }) => name)).toEqual(["a", "b", "c"]);
  expect(unreadable).toEqual(["top/secret", "top/locked", "cut"]);
});

test("files without an entry, and things that are no files", async () => {
  const plain = new File(["x"], "plain.txt");
  const items = [
    { kind: "string", webkitGetAsEntry: () => null, getAsFile: () => null },
    { kind: "file", webkitGetAsEntry: () => null, getAsFile: () => plain },
    { kind: "file", webkitGetAsEntry: () => null, getAsFile: () => null },
  ];
  const { files, unreadable } = await readDrop({ items } as unknown as DataTransfer);
  expect(files).toEqual([plain]);
  expect(files[0]?.relativePath).toBeNull();
  expect(unreadable).toEqual(["?"]);
});
