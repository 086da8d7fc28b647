/** What every transport gets and reports: the same for WebSocket and plain HTTP. */

import type { OpenedUpload } from "../protocol/messages.js";
import type { Entry } from "../protocol/sender.js";
import type { Source } from "../source/source.js";
import type { Timing } from "./backoff.js";
import type { Credential } from "./credential.js";

/** Receives the progress of a transfer. */
export interface TransferListener {
  opened(upload: OpenedUpload): void;
  /** `total` bytes of the upload are durable. */
  stored(total: number): void;
  /** The server has checked `done` bytes against a digest. */
  verifying(done: number): void;
}

/** One upload for one transport to carry. */
export interface Payload {
  readonly entry: Entry;
  readonly source: Source;
  readonly listener: TransferListener;
  readonly credential: Credential;
  readonly timing: Timing;
  /** The SHA-256 that the server is to check, once all bytes are there; undefined: none. */
  readonly sha256: () => Promise<string | undefined>;
  /** Aborted to stop at once. What is stored stays on the server. */
  readonly signal: AbortSignal;
}
