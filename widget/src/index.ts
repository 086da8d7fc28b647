/** What a page uses to upload to a Lading server. */

export type { Transport } from "./attempts.js";
export type { Socket, SocketConstructor } from "./connection.js";
export type { Token, TokenReason } from "./credential.js";
export { UploadError } from "./errors.js";
export type { Network } from "./network.js";
export type { UploadOptions } from "./options.js";
export type { Uploadable } from "./source.js";
export {
  type Manifest,
  type Opened,
  type Progress,
  Upload,
  type UploadEvents,
  type UploadState,
} from "./upload.js";
export { VERSION } from "./version.js";
