import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { Upload, type Manifest } from "lading";
import WebSocket from "ws";

/** Upload a file from Node, which has no WebSocket of its own before version 22. */
export async function put(path: string, url: string, token: string): Promise<Manifest> {
  const file = await openAsBlob(path);
  return new Upload(file, { name: basename(path), url, token, WebSocket }).start();
}
