/**
 * Small files of one batch: those that wait at the same moment go by one request. One that comes while few
 * are under way waits for nobody, and goes by a request of its own.
 * Source: docs/http-api.md, "Several files in one request".
 *
 * A request whose answer was lost may still be carried out by the server. So its files keep its key: what is
 * still wanted of them, and not there, is sent under the same key. The server then carries it out, or says
 * that it is busy with the first request, or that the key is used up: then the first one is over, and who
 * looks now sees all that it stored.
 */

import { fromProblem, hasCode, UploadError } from "../protocol/errors.js";
import { asProblem, encodeFiles } from "../protocol/messages.js";
import { hex } from "../source/digest.js";
import type { Timing } from "../transport/backoff.js";
import type { Api, Json } from "../transport/http.js";
import type { Companion, Company, Handed } from "../transport/small-file.js";
import { type Outcome, Together } from "./together.js";
import { Turns } from "./turns.js";
import { Unanswered } from "./unanswered.js";

/** Only files of at most so many bytes go with others: a larger one is worth a request. */
export const TINY = 64 * 1024;

/** About as many bytes go in one request: proxies refuse more than 1 MiB unless they are told. */
const BYTES = 512 * 1024;
/** As which a smaller file counts, so that not too many go together. */
const LEAST = 4 * 1024;
/** So many requests are under way at once: while one is stored, one is sent. */
export const SMALL_REQUESTS = 2;
/** So many files go at once by requests of their own: browsers open six connections to a server. */
const ALONE = 5;
/** So many files are asked about at once that the site decides on. The answer to each may take long. */
const DECIDING = 3;

const PATH = "/v1/files/batch";
const TYPE = "application/vnd.msgpack";

/** Stands for a status that only a proxy answers with. */
const REFUSED_BETWEEN = "refused-between";
/** Refusals of the whole request after which each file is sent alone. */
const ALONE_THEN = ["method-not-allowed", "not-found", "too-large", "invalid-argument", REFUSED_BETWEEN];
/** After these the server may have stored the files all the same. */
const UNSURE = ["network", "unavailable", "internal", "request-timeout", "in-progress", "shutting-down"];

export class SmallFiles implements Company {
  /** Whether the server takes several files by one request, as far as is known. */
  takesSeveral = true;
  private readonly together: Together<Companion, Json | null>;
  private readonly single = new Turns(ALONE);
  private readonly deciding = new Turns(DECIDING);
  private readonly unanswered: Unanswered;

  /** `refused` is called when the server takes the credential no more: then others should wait. */
  constructor(
    private readonly api: Api,
    private readonly refused: () => void,
  ) {
    this.unanswered = new Unanswered(api.base);
    this.together = new Together((files, signal) => this.work(files, signal), {
      atOnce: SMALL_REQUESTS,
      most: BYTES,
      fits: (first, other) => first.key === other.key,
    });
  }

  /** Whether an answer came that only a Lading server gives. */
  get recognized(): boolean {
    return this.api.recognized;
  }

  store(file: Companion, signal: AbortSignal): Handed<Json | null> {
    return this.together.do(file, Math.max(file.data.length, LEAST), signal);
  }

  /** Wait for a decision of the site about a file, when few others do so. */
  decided<Result>(wait: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    return inTurn(this.deciding, wait, signal);
  }

  /** Resolves when the server has ended what a page before this one left: then its files can be seen. */
  before(sleep: Timing["sleep"], signal: AbortSignal): Promise<void> {
    return this.unanswered.over((key) => this.post(key, new Uint8Array(), signal), sleep, signal);
  }

  /** Begin no more requests. */
  hold(): void {
    this.together.hold();
  }

  release(): void {
    this.together.release();
  }

  private async work(files: readonly Companion[], signal: AbortSignal): Promise<ReadonlyArray<Outcome<Json | null>>> {
    const lost = files.some(({ key }) => key !== undefined);
    if (this.takesSeveral && (files.length > 1 || lost)) {
      const outcomes = await this.several(files, signal);
      if (outcomes !== null) return outcomes;
    }
    const ended = await Promise.allSettled(files.map(({ alone }) => inTurn(this.single, alone)));
    return ended.map((each) =>
      each.status === "fulfilled" ? { result: each.value } : { error: this.stopped(each.reason) },
    );
  }

  /** What became of each; null when each must be sent alone. */
  private async several(files: readonly Companion[], signal: AbortSignal): Promise<Array<Outcome<Json>> | null> {
    const key = files[0]?.key ?? hex(crypto.getRandomValues(new Uint8Array(16)));
    for (const file of files) file.key = key;
    this.unanswered.add(key);
    try {
      const answer = await this.post(key, encodeFiles(files), signal);
      const outcomes = answer["outcomes"] as readonly Json[] | undefined;
      if (outcomes?.length !== files.length) throw fromProblem({ code: "internal", detail: "A file has no outcome." });
      this.unanswered.delete(key);
      for (const file of files) file.key = undefined;
      return outcomes.map(outcomeOf);
    } catch (error) {
      // The signal: nobody waits, and the server may go on.
      if (signal.aborted || isOneOf(error, UNSURE)) throw error;
      this.unanswered.delete(key);
      for (const file of files) file.key = undefined;
      if (!isOneOf(error, ALONE_THEN)) throw this.stopped(error);
      // An older server, or a proxy that lets fewer bytes pass. What is malformed is the fault of one file.
      if (!hasCode(error, "invalid-argument")) this.takesSeveral = false;
      return null;
    }
  }

  private post(key: string, body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Json> {
    const headers = { "Content-Type": TYPE, "Idempotency-Key": `"${key}"` };
    return this.api.json("POST", PATH, { body, headers, signal });
  }

  /** Without a valid credential every other file would fail, too: they stay here until somebody goes on. */
  private stopped(error: unknown): unknown {
    if (hasCode(error, "unauthorized") && !this.api.credential.renewable) this.refused();
    return error;
  }
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  if (!(error instanceof UploadError)) return false;
  // A refusal that is no problem document, and of no status that says to try again.
  const code = error.code === "internal" && !("code" in error.facts) ? REFUSED_BETWEEN : error.code;
  return codes.includes(code);
}

function outcomeOf(outcome: Json): Outcome<Json> {
  if (outcome["problem"] === undefined) return { result: outcome["file"] as Json };
  return { error: fromProblem(asProblem(outcome["problem"])) };
}

/** Do the work when it is its turn. */
async function inTurn<Result>(turns: Turns, work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
  let end = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      end = turns.take(resolve);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    return await work();
  } finally {
    end();
  }
}
