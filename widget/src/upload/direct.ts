/**
 * The way of one file past the server: it is announced there, sent to the bucket where it will live, and
 * published by the server. What the bucket does not take goes to the server like any other upload: the
 * announcement is one, and is found again by its fingerprint.
 * Source: docs/http-api.md, "Media".
 */

import { hasCode, UploadError } from "../protocol/errors.js";
import { asMap, type CompleteFile, type OpenedUpload, openedUpload, spoken } from "../protocol/messages.js";
import type { Source } from "../source/source.js";
import type { Timing } from "../transport/backoff.js";
import { Bucket, type BucketListener, BucketRefused, type Put } from "../transport/bucket.js";
import type { Api, Json } from "../transport/http.js";
import { finish } from "../transport/finish.js";
import type { SmallRequest } from "../transport/small-file.js";

/** Milliseconds for which buckets are avoided that a page could not reach, or may not write to. */
const AVOIDED = 600_000;

/** How a server of an older version refuses an announcement with a fingerprint. */
const NO_FINGERPRINT = "`fingerprint` is not a known field";

/** Until when the bucket of a server is avoided, in milliseconds since 1970. All uploads share it. */
const avoided = new Map<string, number>();

/** What the way past the server reports. */
export interface DirectListener {
  /** The announcement is about to be sent. */
  announcing(): void;
  opened(upload: OpenedUpload): void;
  /** So many bytes were in the bucket before this run. */
  resumed(bytes: number): void;
  /** The bucket got so many bytes in total. */
  moved(total: number): void;
  verifying(done: number): void;
}

/** What stays the same for all attempts. */
export interface DirectPlan {
  readonly api: Api;
  readonly source: Source;
  readonly request: SmallRequest;
  readonly timing: Timing;
  readonly put: Put;
  readonly fingerprint: () => Promise<string>;
}

export class Direct {
  private over = false;
  /** Bytes that this run brought into the bucket. */
  private brought = 0;

  constructor(
    private readonly plan: DirectPlan,
    private readonly listener: DirectListener,
  ) {}

  /**
   * One attempt: the finished file; null where its bytes are to go to the server, now and later. `id` is
   * that of an announcement, or of another unfinished upload, of the same file.
   */
  async attempt(id: string | undefined, signal: AbortSignal): Promise<CompleteFile | null> {
    if (this.over || this.plan.timing.now() < (avoided.get(this.plan.api.base) ?? 0)) return null;
    const file = await this.run(id, signal);
    this.over = file === null;
    return file;
  }

  private async run(known: string | undefined, signal: AbortSignal): Promise<CompleteFile | null> {
    const { source, request } = this.plan;
    const sha256 = request.sha256 ?? (await source.sha256(signal));
    if (sha256 === undefined || source.size === null) return null;
    const told = await (known === undefined ? this.announce(sha256, signal) : this.look(known, sha256, signal));
    const { id, upload } = told;
    if (upload === null) return null;
    try {
      if (known !== undefined) {
        // An earlier attempt may have sent all of it. Its parts cannot be listed any more once they are joined.
        const file = await this.finalize(id, signal).catch(unlessIncomplete);
        if (file !== null) return file;
      }
      if (!(await this.send(id, upload, signal))) return null;
      this.listener.verifying(0);
      return await this.finalize(id, signal);
    } catch (error) {
      // The server takes the bytes instead, or says what became of the upload.
      if (hasCode(error, "incomplete") || hasCode(error, "not-found")) return null;
      throw error;
    }
  }

  private async announce(sha256: string, signal: AbortSignal) {
    const { api, request, source, fingerprint } = this.plan;
    const { name, mime_type, directory, tags, kind, modified_at } = spoken(request);
    const about = { name, mime_type, directory, tags, kind, modified_at, size: source.size, sha256 };
    const json = { ...about, fingerprint: await fingerprint() };
    this.listener.announcing();
    const announced = await api.json("POST", "/v1/media", { json, signal }).catch((error: unknown) => {
      if (!hasCode(error, "invalid-argument") || error.detail?.includes(NO_FINGERPRINT) !== true) throw error;
      return api.json("POST", "/v1/media", { json: about, signal });
    });
    return this.told(announced);
  }

  private async look(id: string, sha256: string, signal: AbortSignal) {
    const answer = await this.plan.api.json("GET", `/v1/media/${id}`, { signal });
    const announced = asMap(answer["media"])["sha256"];
    if (announced !== null && announced !== sha256) {
      throw new UploadError("checksum-mismatch", { detail: "The unfinished upload is of other bytes." });
    }
    return this.told(answer);
  }

  private told(answer: Json): { id: string; upload: Json | null } {
    const media = asMap(answer["media"]);
    const opened = openedUpload({ ...media, id: media["_id"], missing: [] });
    this.listener.opened(opened);
    const upload = answer["upload"] == null ? null : asMap(answer["upload"]);
    const direct = upload !== null && (upload["direct"] === true || upload["parts"] !== undefined);
    // What is at the server already is completed there.
    return { id: opened.id, upload: direct && opened.upload_size === 0 ? upload : null };
  }

  /** Whether the bucket took the bytes. */
  private async send(id: string, upload: Json, signal: AbortSignal): Promise<boolean> {
    const { api, source, put, timing } = this.plan;
    const listener: BucketListener = {
      moved: (total) => this.listener.moved(total),
      found: (total) => this.listener.resumed(Math.max(0, total - this.brought)),
      brought: (bytes) => (this.brought += bytes),
    };
    const bucket = new Bucket(api, source, put, timing, listener, signal);
    try {
      await (upload["parts"] === undefined ? bucket.sendWhole(upload) : bucket.sendParts(id));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BucketRefused)) throw error;
      if (error.unreachable && this.brought === 0) avoided.set(api.base, timing.now() + AVOIDED);
      return false;
    }
    return true;
  }

  private async finalize(id: string, signal: AbortSignal): Promise<CompleteFile> {
    return finish(this.plan.api, `/v1/media/${id}/finalize`, {
      signal,
      verifying: (done) => this.listener.verifying(done),
    });
  }
}

function unlessIncomplete(error: unknown): null {
  if (hasCode(error, "incomplete")) return null;
  throw error;
}
