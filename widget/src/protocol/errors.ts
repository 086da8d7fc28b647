/**
 * What can go wrong: one class with stable codes, and one sentence for the user for each code.
 * Source: `tables.ts` for the server's codes, docs/errors.md.
 */

import { TABLES } from "./tables.js";

/** What the server says when it refuses: a problem document, or the `problem` of a message. */
export interface Problem {
  readonly code: string;
  readonly title?: string;
  readonly detail?: string;
  readonly retryable?: boolean;
  readonly [fact: string]: unknown;
}

interface KnownError {
  readonly title: string;
  readonly retryable: boolean;
}

const SERVER_ERRORS: Readonly<Record<string, KnownError>> = TABLES.errors;

const SENTENCES: Readonly<Record<string, string>> = {
  // the server's
  "invalid-message": "The server did not understand this page. Reload the page and upload again.",
  unauthorized: "The server does not accept the credential. Sign in again, then retry.",
  forbidden: "You are not allowed to upload this here. Ask the site for permission.",
  "not-found": "The upload is no longer on the server. Start it again.",
  "request-timeout": "The network was too slow. Try again.",
  "chunk-conflict":
    "The server has stored other bytes than the file has. Cancel this upload and start a new one.",
  "offset-mismatch": "Something else sends this file, too. Let it finish, or cancel this upload and start a new one.",
  incomplete: "Parts of the file are missing on the server. Try again.",
  "already-complete":
    "The upload already finished, and its file stays on the server. Delete the file there, or ask the site to.",
  gone: "The upload expired and was removed. Start it again.",
  "too-large": "The file is larger than this site allows. Choose a smaller one.",
  "unsupported-media-type": "This site does not accept files of this type. Choose another file.",
  "out-of-bounds": "The server refused a part of the file. Reload the page and upload again.",
  "checksum-mismatch": "The file was damaged on its way to the server. Try again.",
  "rate-limited": "The server has received too many requests. Try again in a moment.",
  "too-many-connections": "The server has too many connections. Try again in a moment.",
  "window-exceeded": "The page sent too much at once. Reload the page and upload again.",
  internal: "The server failed. Try again; if that does not help, tell the operator of the server.",
  unavailable: "The server cannot store files at the moment. Try again in a moment.",
  "shutting-down": "The server is restarting. Try again in a moment.",
  "quota-exceeded": "Your quota has not enough space left for this file. Delete other files first.",
  "storage-full": "The server's disk is full. Try again later.",
  // our own
  network: "The server cannot be reached. Check the network, then try again.",
  "no-server": "No server that takes uploads answers at this address. Check the address.",
  "source-changed":
    "The file was changed, moved or deleted during the upload. Choose it again. " +
    "If its content is the same, the upload resumes. Files on a phone, a USB drive or in a cloud folder must stay available.",
  "source-failed": "The data to upload cannot be read. Start the upload again.",
  cancelled: "The upload was cancelled. Start it again if you still want it.",
};

/** Why an upload failed. `message` is for the user: what happened and what to do. */
export class UploadError extends Error {
  override readonly name = "UploadError";
  /** One of the server's codes, or one of those that only this package has. */
  readonly code: string;
  /** Whether the same upload may succeed later without a change. */
  readonly retryable: boolean;
  /** What happened in this case, for logs. */
  readonly detail: string | undefined;
  /** More facts from the server: `limit`, `used`, `missing`, `retry_after`, … */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, problem: Partial<Problem> = {}, options?: ErrorOptions) {
    const known = SERVER_ERRORS[code];
    const detail = problem.detail ?? problem.title;
    super(SENTENCES[code] ?? detail ?? known?.title ?? "The upload failed. Try again.", options);
    this.code = code;
    this.retryable = problem.retryable ?? known?.retryable ?? code === "network";
    this.detail = detail;
    this.facts = problem as Record<string, unknown>;
  }
}

/** Whether something that was thrown is an UploadError with this code. */
export function hasCode(error: unknown, code: string): error is UploadError {
  return error instanceof UploadError && error.code === code;
}

/** The error that the server's problem describes. */
export function fromProblem(problem: Problem): UploadError {
  return new UploadError(problem.code, problem);
}

/** The server could not be reached, or the connection was lost. `detail` is for logs. */
export function networkError(detail: string, cause?: unknown): UploadError {
  return new UploadError("network", { detail }, cause === undefined ? undefined : { cause });
}
