// tus-js-client in Node: reads {"url", "token", "path", "options"} and prints the upload's address.
//
// With "stream" in its options the file is a stream whose length the client does not know.

import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { json } from "node:stream/consumers";

const load = createRequire(new URL("../../../widget/package.json", import.meta.url));
const tus = load("tus-js-client");

const RETRIES = Array.from({ length: 300 }, () => 200);

const { url, token, path, options } = await json(process.stdin);
const { stream, ...given } = options;
// The client reads a stream that has a path by ranges.
const file = createReadStream(path);
const source = stream ? file.pipe(new PassThrough()) : file;

await new Promise((resolve, reject) => {
  const upload = new tus.Upload(source, {
    endpoint: `${url}/v1/tus`,
    headers: { Authorization: `Bearer ${token}` },
    metadata: { filename: "node.bin", filetype: "application/octet-stream" },
    retryDelays: RETRIES,
    ...given,
    onError: reject,
    onSuccess: () => {
      process.stdout.write(JSON.stringify({ url: upload.url }));
      resolve();
    },
  });
  upload.start();
});
