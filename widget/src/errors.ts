/**
 * What can go wrong, as one class with stable codes.
 *
 * Owns the codes, one plain sentence for each, and whether trying again can help. Refuses to know
 * how anything is sent. Source: the server's table of codes, docs/errors.md.
 */

/** What the server says when it refuses: a problem document, or the `problem` of a message. */
export interface Problem {
  readonly code: string;
  readonly title?: string;
  readonly detail?: string;
  readonly retryable?: boolean;
  readonly [fact: string]: unknown;
}

const SENTENCES: Readonly<Record<string, string>> = {
  // the server's
  "invalid-message": "The server did not understand this page; reload it and upload again.",
  unauthorized: "The server does not accept the credential; sign in again, then retry.",
  forbidden: "You are not allowed to upload this here; ask the site for a new permission.",
  "not-found": "The upload is not on the server any more; start it again.",
  "request-timeout": "The network was too slow for the server; try again.",
  "chunk-conflict":
    "The server holds other bytes than the file has; cancel this upload and begin a new one.",
  incomplete: "The server still misses parts of the file; try again.",
  "already-complete": "The upload is finished and takes nothing more; start a new one.",
  gone: "The upload stood still for too long and was removed; start it again.",
  "too-large": "The file is larger than is allowed here; choose a smaller one.",
  "unsupported-media-type": "Files of this type are not accepted here; choose another one.",
  "out-of-bounds": "The server refused a part of the file; reload the page and upload again.",
  "checksum-mismatch": "Bytes were damaged on the way to the server; try again.",
  "rate-limited": "The server is asked for too much at once; try again in a moment.",
  "too-many-connections": "The server has too many connections; try again in a moment.",
  "window-exceeded": "The server was sent too much at once; reload the page and upload again.",
  internal: "The server failed; try again, and tell whoever runs it if that does not help.",
  unavailable: "The server cannot store anything at the moment; try again in a moment.",
  "shutting-down": "The server is restarting; try again in a moment.",
  "quota-exceeded": "There is not enough space left for this file; delete other files first.",
  "storage-full": "The server has no room left; try again when room was made.",
  // our own
  network: "The server cannot be reached; check the network, then try again.",
  "no-server": "No Lading server answers at this address; check the address.",
  "source-changed": "The file was changed, moved or deleted during the upload; choose it again.",
  "source-failed": "The data to upload cannot be read; start the upload again.",
  cancelled: "The upload was cancelled; start it again if you want it after all.",
};

const RETRYABLE = new Set([
  "request-timeout",
  "checksum-mismatch",
  "rate-limited",
  "too-many-connections",
  "unavailable",
  "shutting-down",
  "storage-full",
  "network",
]);

/** Why an upload failed. `message` is one sentence for the user: what happened and what to do. */
export class UploadError extends Error {
  override readonly name = "UploadError";
  /** One of the server's codes, or one of those that only this package has. */
  readonly code: string;
  /** Whether the same upload may succeed later without a change. */
  readonly retryable: boolean;
  /** What the server said of this very case, for logs. */
  readonly detail: string | undefined;
  /** What the server told besides: `limit`, `used`, `missing`, `retry_after`, … */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, problem: Partial<Problem> = {}, options?: ErrorOptions) {
    const detail = problem.detail ?? problem.title;
    super(SENTENCES[code] ?? detail ?? "The upload failed; try again.", options);
    this.code = code;
    this.retryable = problem.retryable ?? RETRYABLE.has(code);
    this.detail = detail;
    this.facts = problem as Record<string, unknown>;
  }
}

/** The error that a problem of the server's means. */
export function fromProblem(problem: Problem): UploadError {
  return new UploadError(problem.code, problem);
}

/** The server could not be reached, or was lost; `detail` says more, for logs. */
export function networkError(detail: string, cause?: unknown): UploadError {
  return new UploadError("network", { detail }, cause === undefined ? undefined : { cause });
}

/**
 * An attempt failed, and another one may not.
 *
 * `after`: seconds that the server asked to wait. `limit`: how often in a row, without progress,
 * before this is a failure after all; without one only patience counts. `renew`: a new credential
 * is needed first. `unopened`: a WebSocket did not even open.
 */
export class Again extends Error {
  readonly error: UploadError;
  readonly after: number;
  readonly limit: number | undefined;
  readonly renew: boolean;
  readonly unopened: boolean;

  constructor(
    error: UploadError,
    how: { after?: number; limit?: number | undefined; renew?: boolean; unopened?: boolean } = {},
  ) {
    super(error.message, { cause: error });
    this.error = error;
    this.after = how.after ?? 0;
    this.limit = how.limit;
    this.renew = how.renew ?? false;
    this.unopened = how.unopened ?? false;
  }
}

/** Errors that a fresh look at the server's list, or an undamaged connection, may cure. */
const LIMITS: Readonly<Record<string, number>> = {
  "chunk-conflict": 3,
  "out-of-bounds": 3,
  incomplete: 3,
  "already-complete": 3,
  "checksum-mismatch": 3,
  "invalid-message": 5,
  "window-exceeded": 5,
  internal: 5,
  unauthorized: 5,
};

const LONGEST_WAIT = 60;

/** The failure as a reason to try again; throws it when trying again cannot help. */
export function judge(failure: unknown): Again {
  if (failure instanceof Again) return failure;
  if (!(failure instanceof UploadError)) throw failure;
  const limit = LIMITS[failure.code];
  if (limit === undefined && !failure.retryable) throw failure;
  return new Again(failure, {
    limit,
    after: askedWait(failure),
    renew: failure.code === "unauthorized",
  });
}

/** Seconds that the server asked to wait, within reason. */
export function askedWait(error: UploadError | undefined): number {
  const after = error?.facts["retry_after"];
  return typeof after === "number" ? Math.min(Math.max(after, 0), LONGEST_WAIT) : 0;
}
