/** The public interface: everything that a page needs to upload to a Lading server. */

export { UploadError } from "./protocol/errors.js";
export type { Uploadable } from "./source/source.js";
export type { Socket, SocketConstructor } from "./transport/connection.js";
export type { Token, TokenReason } from "./transport/credential.js";
export type { Network } from "./transport/network.js";
export type { Transport } from "./transport/route.js";
export {
  Batch,
  type BatchDone,
  type BatchEvents,
  type BatchFailure,
  type BatchFile,
  type BatchItem,
  type BatchItemState,
  type BatchOptions,
  type BatchState,
  type BatchTotals,
  type Choice,
  type Existing,
} from "./upload/batch.js";
export { findFile } from "./upload/earlier.js";
export type { Manifest, Opened, Progress, UploadEvents } from "./upload/events.js";
export type { UploadOptions } from "./upload/options.js";
export type { UploadState } from "./upload/state.js";
export { Upload } from "./upload/upload.js";
export { VERSION } from "./version.js";
export { type Change, type Changed, type Gone, watch, type WatchOptions } from "./watch.js";
