/** Which failures are worth another attempt, and what must happen before it. */

import { fromProblem, networkError, UploadError } from "./errors.js";
import { TABLES } from "./tables.js";

/**
 * An attempt failed, and the next one may succeed.
 *
 * `after`: seconds that the server asked to wait. `limit`: how many of these failures in a row,
 * without progress, are tolerated; without a limit only the upload's patience counts. `renew`: a
 * new credential is needed first. `unopened`: the WebSocket did not open at all.
 */
export class Retry extends Error {
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

/** Errors that the server's current list, or an undamaged connection, may cure. */
const LIMITS: Readonly<Record<string, number>> = {
  "chunk-conflict": 3,
  "offset-mismatch": 3,
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

/** The failure as a reason to try again. Throws the failure when another attempt cannot help. */
export function judge(failure: unknown): Retry {
  if (failure instanceof Retry) return failure;
  if (!(failure instanceof UploadError)) throw failure;
  const limit = LIMITS[failure.code];
  if (limit === undefined && !failure.retryable) throw failure;
  return new Retry(failure, {
    limit,
    after: requestedWait(failure),
    renew: failure.code === "unauthorized",
  });
}

/** Seconds that the server asked to wait, at most a minute. */
export function requestedWait(error: UploadError | undefined): number {
  const after = error?.facts["retry_after"];
  return typeof after === "number" ? Math.min(Math.max(after, 0), LONGEST_WAIT) : 0;
}

const { PROTOCOL, TEXT, POLICY, TOO_BIG, UNAUTHORIZED, FORBIDDEN } = TABLES.close_codes;

/** Close codes that say that the client broke the protocol. A damaged byte may be the cause. */
const OUR_FAULT: readonly number[] = [PROTOCOL, TEXT, POLICY, TOO_BIG];

/**
 * What the end of a connection means: a reason to try again. Throws when there is none.
 *
 * `parting` is the problem that the server sent before it closed, if it sent one.
 */
export function explainClose(code: number, parting: UploadError | undefined): Retry {
  const lost = networkError(`The connection was closed (${code}).`);
  if (code === UNAUTHORIZED) return judge(fromProblem({ ...parting?.facts, code: "unauthorized" }));
  if (code === FORBIDDEN) throw parting ?? fromProblem({ code: "forbidden" });
  if (!OUR_FAULT.includes(code)) return new Retry(parting ?? lost, { after: requestedWait(parting) });
  // 1008 with `unauthorized`: a slow network delivered HELLO too late.
  const late = parting === undefined || parting.code === "unauthorized";
  return late ? new Retry(lost, { limit: 5 }) : judge(parting);
}
