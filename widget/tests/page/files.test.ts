import { describe, expect, test, vi } from "vitest";

vi.stubGlobal("document", { baseURI: "https://files.example.org/", addEventListener: () => undefined });
vi.stubGlobal("window", { addEventListener: () => undefined });
const { downloads, itemsOf, joined, lastOf, parentOf, staysAt } = await import("../../page/src/files.js");
import type { FileQuery, Manifest } from "../../page/src/api.js";
import type { Item } from "../../page/src/files.js";

const query: FileQuery = { directory: "", search: "", tags: [], kind: "", order: "-created" };
const file = (id: number, directory = "") => ({ _id: `id${id}`, name: `f${id}`, directory }) as Manifest;
const files = (...ids: number[]) => ids.map((id) => file(id));
const folder = (directory: string): Item => ({ key: `/${directory}`, folder: { directory, files: 1, size: 1 } });
const item = (one: Manifest): Item => ({ key: one._id, file: one });

test("a path has a last part and a parent", () => {
  expect([lastOf("a/b/c"), parentOf("a/b/c"), lastOf("a"), parentOf("a")]).toEqual(["c", "a/b", "a", ""]);
});

test("folders stand before files, and not in what was searched", () => {
  const folders = [{ directory: "a", files: 1, size: 1 }];
  expect(itemsOf(query, folders, files(1)).map(({ key }) => key)).toEqual(["/a", "id1"]);
  expect(itemsOf({ ...query, search: "f" }, folders, files(1)).map(({ key }) => key)).toEqual(["id1"]);
});

describe("the new beginning of a list that changed", () => {
  const before = { query, files: files(1, 2, 3, 4, 5), cursor: "after 5" };

  test("is followed by what was behind it", () => {
    const page = { query, files: files(0, 1, 3), cursor: "after 3" };
    expect(joined(page, before)).toEqual({ query, files: files(0, 1, 3, 4, 5), cursor: "after 5" });
  });

  test("is all, when nothing is behind it, or nobody knows what is", () => {
    const last = { query, files: files(0, 1), cursor: null };
    const other = { query, files: files(8, 9), cursor: "after 9" };
    expect([joined(last, before), joined(other, before)]).toEqual([last, other]);
  });
});

test("nothing is moved to where it is, and no folder into itself", () => {
  const stays = (one: Item, to: string) => staysAt(one, to);
  expect([stays(item(file(1, "a")), "a"), stays(item(file(1, "a")), "")]).toEqual([true, false]);
  expect(["a", "a/b", "a/b/c", "", "ab"].map((to) => stays(folder("a/b"), to))).toEqual([true, true, true, false, false]);
});

test("one file is downloaded as it is, others as archives of at most 200 and one for each folder", () => {
  expect(downloads([item(file(1))])).toEqual(["https://files.example.org/v1/files/id1?download=1"]);
  const many = downloads([...Array.from({ length: 201 }, (_, id) => item(file(id))), folder("a/b c")]);
  expect(many.map((each) => [new URL(each).searchParams.getAll("id").length, new URL(each).searchParams.get("directory")])).toEqual([
    [200, null],
    [1, null],
    [0, "a/b c"],
  ]);
});
