/** What an upload reports, and the values that its events carry. */

import type { UploadError } from "../protocol/errors.js";
import type { CompleteFile } from "../protocol/messages.js";
import type { UploadState } from "./state.js";

/** Progress in bytes. `size` is null while it is not known. */
export interface Progress {
  /** Bytes that are durable on the server. */
  readonly stored: number;
  readonly size: number | null;
  /** Bytes that the server has checked against a digest, after all are stored. */
  readonly verified: number;
}

/** The server opened the upload, for the first time or after an interruption. */
export interface Opened {
  readonly id: string;
  readonly size: number | null;
  readonly stored: number;
  readonly resumedFrom: number;
}

/** The finished file. `url` is absolute. */
export interface Manifest extends CompleteFile {
  readonly name: string;
}

export interface UploadEvents {
  state: UploadState;
  progress: Progress;
  opened: Opened;
  error: UploadError;
}
