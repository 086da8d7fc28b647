/** What docs/browser.md says, against what the code does. */

import { readdir, readFile } from "node:fs/promises";

import { expect, test } from "vitest";

const file = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");

const docs = await file("../../docs/browser.md");
const upload = await file("../src/upload/upload.ts");
const state = await file("../src/upload/state.ts");
const options = await file("../src/upload/options.ts");
const uppy = await file("../src/uppy.ts");

/** The first cells of the table that has this head, each code span of theirs. */
function told(head: string, text = docs): string[] {
  const [, table] = text.split(`| ${head} |`);
  const rows = table!.split("\n").slice(2);
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows
    .slice(0, end)
    .flatMap((row) => [...row.split("|")[1]!.matchAll(/`([\w-]+)/g)].map(([, name]) => name!));
}

/** The names that a pattern finds in the part of a source that begins with `start`. */
function written(source: string, start: string, pattern: RegExp): string[] {
  const part = source.slice(source.indexOf(start) + start.length);
  const end = part.search(/^}|;\n\n/m);
  return [...part.slice(0, end).matchAll(pattern)].map(([, name]) => name!);
}

test("every option is told, and nothing else", () => {
  const all = written(options, "export interface UploadOptions {", /readonly (\w+)\?:/g);
  expect(told("option | default | meaning").sort()).toEqual(all.sort());
  const more = written(uppy, "export interface LadingOptions", /readonly (\w+)\?:/g);
  expect(told("option | default | meaning", docs.split("## Uppy")[1]).sort()).toEqual(more.sort());
});

test("every state and event is told, and nothing else", () => {
  const states = written(state, "export type UploadState =", /"(\w+)"/g);
  expect(told("state | meaning")).toEqual(states);
  const events = written(upload, "export interface UploadEvents {", /^ {2}(\w+):/gm);
  expect(told("event | the callback gets")).toEqual(events);
});

test("every code has a sentence and is told here or among the server's", async () => {
  const sentences = written(
    await file("../src/protocol/errors.ts"),
    "const SENTENCES",
    /^ {2}"?([\w-]+)"?:/gm,
  );
  const server = [...(await file("../../docs/errors.md")).matchAll(/^\| `([\w-]+)` \| \d+ \|/gm)];
  const known = new Set([...told("code | what happened"), ...server.map(([, code]) => code!)]);
  expect(sentences.filter((code) => !known.has(code))).toEqual([]);
  expect(told("code | what happened").filter((code) => !sentences.includes(code))).toEqual([]);
});

test("every program is one of the examples, which are tested", async () => {
  const folder = new URL("../examples/", import.meta.url);
  const names = await readdir(folder);
  const examples = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  const blocks = [...docs.matchAll(/^```(?:ts|html)\n(.*?)^```/gms)].map(([, block]) => block!);
  expect(blocks.length).toBe(5);
  for (const block of blocks) expect(examples).toContain(block);
});

test("the version is the package's", async () => {
  const { version } = JSON.parse(await file("../package.json")) as { version: string };
  expect(await file("../src/version.ts")).toContain(`VERSION = "${version}"`);
});
