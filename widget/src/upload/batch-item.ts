/** One file of a batch, from the queue to its end. */

import type { UploadError } from "../protocol/errors.js";
import type { Upload } from "./upload.js";

/** One file to upload. Its directory is part of what is stored, like its name. */
export interface BatchFile {
  readonly file: File;
  readonly directory?: string | undefined;
  /** One of the server's kinds of files. Default: the one of the batch. */
  readonly kind?: string | undefined;
}

/**
 * `asking`: whoever made the batch decides about a file of the same name. `there`: the server has the same
 * bytes under the same name. `skipped`: it has others, and this file was not wanted.
 */
export type BatchItemState =
  | "waiting"
  | "asking"
  | "sending"
  | "verifying"
  | "paused"
  | "done"
  | "there"
  | "skipped"
  | "failed";

/** A file of a batch, as it is now. */
export interface BatchItem extends BatchFile {
  readonly state: BatchItemState;
  /** Bytes that are durable on the server. */
  readonly stored: number;
  /** What this batch sent of it. */
  readonly sent: number;
  /** The id of its upload, and later of the file; null until the server gave one. */
  readonly id: string | null;
  /** The absolute address of its bytes, once it is on the server. */
  readonly url: string | null;
  /** Why it failed. */
  readonly error: UploadError | null;
}

/** A file on the server with the name and the directory of one that is to be uploaded. */
export interface Existing {
  readonly id: string;
  readonly size: number;
}

/** Keep both files, keep the one on the server, or give that the new bytes. */
export type Choice = "both" | "skip" | "replace";

/** Files that go together with others, those that have a request of their own, and uploads in pieces. */
export type Lane = "tiny" | "small" | "large";

/** The item as the batch changes it. */
export class Entry implements BatchItem {
  state: BatchItemState = "waiting";
  stored = 0;
  sent = 0;
  id: string | null = null;
  url: string | null = null;
  error: UploadError | null = null;
  /** While it is sent. */
  upload: Upload | undefined;
  /** Whether it was taken out of the batch. */
  removed = false;
  /** The queue that it belongs to. */
  lane: Lane = "large";
  /** Whether something is done with it: from its turn in the queue to its end. */
  begun = false;
  /** Whether the server was asked for files of its name, and which one its bytes are to replace. */
  looked = false;
  replaces: string | undefined;
  /** Whether it is uploaded although the server has the same. */
  anyway = false;

  constructor(
    readonly file: File,
    readonly directory: string | undefined,
    readonly kind: string | undefined,
  ) {}

  /** Whether nothing more happens to it by itself. */
  get over(): boolean {
    return ["done", "there", "skipped", "failed"].includes(this.state);
  }
}
