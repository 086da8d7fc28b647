/** Compares docs/browser.md with the code. */

import { readdir, readFile } from "node:fs/promises";

import { expect, test } from "vitest";

const file = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");

const docs = await file("../../docs/browser.md");
const events = await file("../src/upload/events.ts");
const state = await file("../src/upload/state.ts");
const options = await file("../src/upload/options.ts");
const uppy = await file("../src/uppy.ts");

/** The code spans in the first column of the table with this head. */
function documented(head: string, text = docs): string[] {
  const [, table] = text.split(`| ${head} |`);
  const rows = table!.split("\n").slice(2);
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows
    .slice(0, end)
    .flatMap((row) => [...row.split("|")[1]!.matchAll(/`([\w-]+)/g)].map(([, name]) => name!));
}

/** The names that a pattern finds in the part of a source after `start`. */
function written(source: string, start: string, pattern: RegExp): string[] {
  const part = source.slice(source.indexOf(start) + start.length);
  const end = part.search(/^}|;\n\n/m);
  return [...part.slice(0, end).matchAll(pattern)].map(([, name]) => name!);
}

test("every option is documented, and nothing else", () => {
  const all = written(options, "export interface UploadOptions {", /readonly (\w+)\?:/g);
  expect(documented("option | default | meaning").sort()).toEqual(all.sort());
  const more = written(uppy, "export interface LadingOptions", /readonly (\w+)\?:/g);
  expect(documented("option | default | meaning", docs.split("## Uppy")[1]).sort()).toEqual(more.sort());
});

test("every state and event is documented, and nothing else", () => {
  const states = written(state, "export type UploadState =", /"(\w+)"/g);
  expect(documented("state | meaning")).toEqual(states);
  const names = written(events, "export interface UploadEvents {", /^ {2}(\w+):/gm);
  expect(documented("event | the callback gets")).toEqual(names);
});

test("every code with a sentence is documented here or among the server's codes", async () => {
  const sentences = written(
    await file("../src/protocol/errors.ts"),
    "const SENTENCES",
    /^ {2}"?([\w-]+)"?:/gm,
  );
  const server = [...(await file("../../docs/errors.md")).matchAll(/^\| `([\w-]+)` \| \d+ \|/gm)];
  const known = new Set([...documented("code | what happened"), ...server.map(([, code]) => code!)]);
  expect(sentences.filter((code) => !known.has(code))).toEqual([]);
  expect(documented("code | what happened").filter((code) => !sentences.includes(code))).toEqual([]);
});

test("every program is one of the examples, which are tested", async () => {
  const folder = new URL("../examples/", import.meta.url);
  const names = await readdir(folder);
  const examples = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  const blocks = [...docs.matchAll(/^```(?:tsx?|html)\n(.*?)^```/gms)].map(([, block]) => block!);
  expect(blocks.length).toBe(9);
  for (const block of blocks) expect(examples).toContain(block);
});

test("the version is the package's", async () => {
  const { version } = JSON.parse(await file("../package.json")) as { version: string };
  expect(await file("../src/version.ts")).toContain(`VERSION = "${version}"`);
});
