/** Files to upload: random bytes, and a video with an index for seeking. */

import { createHash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import type { Page } from "@playwright/test";

export const MB = 1_000_000;

/** Write a file of `size` bytes without repetitions. Returns its SHA-256. */
export async function sample(path: string, size: number): Promise<string> {
  const hash = createHash("sha256");
  const block = randomBytes(MB);
  const file = await open(path, "w");
  try {
    for (let at = 0; at < size; at += MB) {
      block.writeUInt32LE(at, 0);
      const part = block.subarray(0, Math.min(MB, size - at));
      hash.update(part);
      await file.write(part);
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

// -- WebM, https://www.webmproject.org/docs/container/, only what a player needs to seek

const KEYFRAME = 0x80;

function element(id: number, content: Buffer | number | string | Buffer[]): Buffer {
  const body = Array.isArray(content)
    ? Buffer.concat(content)
    : typeof content === "number"
      ? Buffer.from(content.toString(16).padStart(12, "0"), "hex")
      : Buffer.from(content as string);
  const name = Buffer.from(id.toString(16), "hex");
  // All sizes have eight bytes, so that the length of every header is known in advance.
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(body.length));
  return Buffer.concat([name, size, body]);
}

function float(value: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeDoubleBE(value);
  return body;
}

/** A video with one frame per second and an index at the start. Empty elements make it large. */
export async function video(page: Page, seconds: number, padding: number): Promise<Buffer<ArrayBuffer>> {
  const frames = (await page.evaluate(drawn, seconds)).map((frame) => Buffer.from(frame, "base64"));
  const clusters = frames.map((frame, second) =>
    element(0x1f43b675, [
      element(0xe7, second * 1000),
      element(0xa3, Buffer.concat([Buffer.from([0x81, 0, 0, KEYFRAME]), frame])),
      element(0xec, Buffer.alloc(padding)),
    ]),
  );
  const info = element(0x1549a966, [
    element(0x2ad7b1, 1_000_000),
    element(0x4489, float(seconds * 1000)),
    element(0x4d80, "lading"),
    element(0x5741, "lading"),
  ]);
  const track = element(0xae, [
    element(0xd7, 1),
    element(0x73c5, 1),
    element(0x83, 1),
    element(0x86, "V_VP8"),
    element(0xe0, [element(0xb0, 320), element(0xba, 180)]),
  ]);
  const tracks = element(0x1654ae6b, [track]);
  const cues = (places: number[]) =>
    element(0x1c53bb6b, places.map((place, second) =>
      element(0xbb, [element(0xb3, second * 1000), element(0xb7, [element(0xf7, 1), element(0xf1, place)])])));
  let place = info.length + tracks.length + cues(clusters.map(() => 0)).length;
  const places = clusters.map((cluster) => (place += cluster.length) - cluster.length);
  const head = element(0x1a45dfa3, [element(0x4282, "webm"), element(0x4287, 4), element(0x4285, 2)]);
  return Buffer.from(Buffer.concat([head, element(0x18538067, [info, tracks, cues(places), ...clusters])]));
}

/** Runs in the page: VP8 key frames that show the second. */
async function drawn(seconds: number): Promise<string[]> {
  const canvas = new OffscreenCanvas(320, 180);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  const frames: string[] = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push(btoa(String.fromCharCode(...data)));
    },
    error: (error) => {
      throw error;
    },
  });
  encoder.configure({ codec: "vp8", width: 320, height: 180 });
  for (let second = 0; second < seconds; second++) {
    const sky = context.createLinearGradient(0, 0, 0, 180);
    sky.addColorStop(0, `hsl(${200 + second} 70% 30%)`);
    sky.addColorStop(1, `hsl(${20 + second} 80% 65%)`);
    context.fillStyle = sky;
    context.fillRect(0, 0, 320, 180);
    context.fillStyle = "#fffd";
    context.beginPath();
    context.arc(40 + second * 4, 120, 22, 0, 7);
    context.fill();
    context.font = "bold 48px sans-serif";
    context.fillText(`0:${String(second).padStart(2, "0")}`, 110, 80);
    const frame = new VideoFrame(canvas, { timestamp: second * 1e6 });
    encoder.encode(frame, { keyFrame: true });
    frame.close();
  }
  await encoder.flush();
  return frames;
}
