import { expect, test } from "vitest";

import { hashOf, type Place, placeOf } from "../../page/src/place.js";

const ID = "6b0179176249a43ed26a4b6e";
const at = (directory: string, open: string | null = null): Place => ({ view: "files", directory, open });

test.each([
  ["", at("")],
  ["#", at("")],
  [`#${ID}`, at("", ID)],
  ["#/a/b/", at("a/b")],
  [`#/a/b/${ID}`, at("a/b", ID)],
  // A folder may have the name of an id, or of a view.
  [`#/${ID}/`, at(ID)],
  ["#/links/", at("links")],
  ["#links", { view: "links", directory: "", open: null }],
  ["#trash", { view: "trash", directory: "", open: null }],
  ["#library", at("")],
  // What somebody typed, or another program cut.
  ["#/100%/", at("100%")],
  ["#//a///b/", at("a/b")],
] as const)("the address %s is a place", (hash, place) => {
  expect(placeOf(hash)).toEqual(place);
});

test.each(["a", "a/b", "100% #new?/ü 文件", `${ID}/x`])("the folder %s has an address", (directory) => {
  for (const open of [null, ID]) expect(placeOf(hashOf(at(directory, open)))).toEqual(at(directory, open));
});
