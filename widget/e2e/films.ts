/** Films and sounds made by ffmpeg, and uploads that a test sends piece by piece. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Server } from "./server.js";

const PICTURE = (seconds: number) => ["-f", "lavfi", "-i", `testsrc2=s=480x270:r=25:d=${seconds}`];
const SOUND = (seconds: number) => ["-f", "lavfi", "-i", `sine=d=${seconds}`];
const H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"];
const VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "25"];

/** What makes each kind of film. */
const KINDS = {
  "faststart.mp4": [...H264, "-c:a", "aac", "-movflags", "+faststart"],
  "fragments.mp4": [...H264, "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"],
  "film.webm": [...VP8, "-c:a", "libvorbis"],
} as const;

export type Film = keyof typeof KINDS;

async function ffmpeg(...options: string[]): Promise<void> {
  await promisify(execFile)("ffmpeg", ["-nostdin", "-loglevel", "error", "-y", ...options]);
}

/** A film of so many seconds; `rate` is that of its picture. */
export async function film(folder: string, kind: Film, seconds: number, rate: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(folder, kind);
  await ffmpeg(...PICTURE(seconds), ...SOUND(seconds), ...KINDS[kind], "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-shortest", path);
  return new Uint8Array(await readFile(path));
}

export async function sound(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(folder, "sound.mp3");
  await ffmpeg(...SOUND(3), path);
  return new Uint8Array(await readFile(path));
}

export async function picture(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(folder, "picture.png");
  await ffmpeg(...PICTURE(1), "-frames:v", "1", path);
  return new Uint8Array(await readFile(path));
}

/** An upload that the test sends as slowly as it likes. */
export class Sending {
  at = 0;

  private constructor(private readonly server: Server, private readonly id: string, private readonly cell: number,
    private readonly bytes: Uint8Array<ArrayBuffer>) {}

  static async begin(server: Server, name: string, type: string, bytes: Uint8Array<ArrayBuffer>, size: number | null): Promise<Sending> {
    const body = JSON.stringify({ name, mime_type: type, size, chunk_size: 64 * 1024 });
    const upload = (await (await server.ask("/v1/uploads", { method: "POST", body })).json()) as { _id: string; chunk_size: number };
    return new Sending(server, upload._id, upload.chunk_size, bytes);
  }

  get path(): string {
    return `/v1/files/${this.id}`;
  }

  get whole(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Send the next pieces, with a pause after each. */
  async send(pieces = Infinity, milliseconds = 0): Promise<void> {
    for (let sent = 0; sent < pieces && !this.whole; sent++) {
      const body = this.bytes.subarray(this.at, this.at + this.cell);
      await this.server.ask(`/v1/uploads/${this.id}/chunks/${this.at}`, { method: "PUT", body });
      this.at += body.length;
      await pause(milliseconds);
    }
  }

  async finish(): Promise<void> {
    await this.server.ask(`/v1/uploads/${this.id}/finish`, { method: "POST", body: JSON.stringify({ size: this.bytes.length }) });
  }

  async abort(): Promise<void> {
    await this.server.ask(`/v1/uploads/${this.id}`, { method: "DELETE" });
  }
}
