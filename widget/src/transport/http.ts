/**
 * Requests to one server: JSON in and out. A refusal becomes an UploadError.
 * Source: docs/http-api.md, "Answers".
 */

import type { Credential } from "./credential.js";
import { asMap, asProblem } from "../protocol/messages.js";
import { networkError, UploadError } from "../protocol/errors.js";

/** Milliseconds that one request may take: enough for 4 MiB at 35 kB/s. */
const TIMEOUT = 120_000;

export type Json = Readonly<Record<string, unknown>>;

export interface Request {
  readonly json?: unknown;
  readonly body?: Uint8Array<ArrayBuffer> | Blob;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the request may take. */
  readonly timeout?: number;
}

/** A response and its whole body. */
export interface Exchange {
  readonly response: Response;
  readonly text: string;
}

export class Api {
  /** The server's address, without a slash at the end. */
  readonly base: string;
  /** Whether an answer came that only a Lading server gives. */
  recognized = false;

  constructor(
    /** The server's address as the page gave it. */
    readonly address: string,
    readonly credential: Credential,
    private readonly fetch: typeof globalThis.fetch,
  ) {
    this.base = address.replace(/\/+$/, "");
  }

  /** The absolute form of an address from the server, which may be below a path of a site. */
  absolute(address: string): string {
    return address.startsWith("/") ? this.base + address : address;
  }

  /** The address of the WebSocket. */
  get channel(): string {
    return `${this.base.replace(/^http/, "ws")}/v1/ws`;
  }

  /** Send a request and return the JSON object of its response; an empty one for no body. */
  async json(method: string, path: string, request: Request = {}): Promise<Json> {
    try {
      const { response, text } = await this.exchange(method, this.base + path, request);
      if (!response.ok) throw refusal(response, text);
      if (text === "") return {};
      const answer = asMap(JSON.parse(text));
      this.recognized = true;
      return answer;
    } catch (error) {
      if (error instanceof UploadError) throw this.noted(error);
      if (error instanceof SyntaxError) throw notALadingServer();
      throw networkError(`${String(error)}${this.hint()}`, error);
    }
  }

  /**
   * Send a request to any address, and return its response, whatever it is. The credential goes to this
   * server only. Rejects with the error of the token's function or of `fetch`.
   */
  async exchange(method: string, url: string, request: Request = {}): Promise<Exchange> {
    const headers: Record<string, string> = { ...request.headers };
    const token = sameOrigin(url, this.base) ? await this.credential.get() : undefined;
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    if (request.json !== undefined) headers["Content-Type"] = "application/json";
    const signals = [
      AbortSignal.timeout(request.timeout ?? TIMEOUT),
      ...(request.signal ? [request.signal] : []),
    ];
    const response = await this.fetch(url, {
      method,
      headers,
      body: request.json === undefined ? (request.body ?? null) : JSON.stringify(request.json),
      signal: AbortSignal.any(signals),
      cache: "no-store",
    });
    return { response, text: await response.text() };
  }

  /** Whether this is a page of another site than the server: a browser asks the server first what it may send. */
  get crossesOrigins(): boolean {
    const own = ownOrigin();
    return own !== undefined && !sameOrigin(this.base, own);
  }

  /** What to check on another site's server: browsers do not tell a refusal from a lost network. */
  private hint(): string {
    if (!this.crossesOrigins) return "";
    return ` (If the server runs, check that its LADING_ALLOWED_ORIGINS contains ${ownOrigin()}.)`;
  }

  private noted(error: UploadError): UploadError {
    if (error.code === "unauthorized") this.credential.refused();
    if ("code" in error.facts) this.recognized = true; // it came as a problem document
    return error.code === "invalid-message" ? notALadingServer() : error;
  }
}

function sameOrigin(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin;
}

/** The origin of this page; undefined outside of a browser. */
function ownOrigin(): string | undefined {
  return (globalThis.location as Location | undefined)?.origin;
}

/** Codes for responses of proxies, which are not problem documents. */
const BY_STATUS: Readonly<Record<number, string>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  408: "request-timeout",
  413: "too-large",
  425: "unavailable",
  429: "rate-limited",
  500: "unavailable",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** Statuses by which proxies in front of a site report that they cannot reach it. */
const UNREACHED = { first: 520, last: 530 };

/** The code for a response that is no problem document. */
export function codeOf(status: number): string {
  if (status >= UNREACHED.first && status <= UNREACHED.last) return "unavailable";
  return BY_STATUS[status] ?? "internal";
}

/** The error for a response. One that is not a problem document comes from a proxy in between. */
export function refusal(response: Response, text: string): UploadError {
  const after = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const waits = Number.isNaN(after) ? {} : { retry_after: after };
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    const problem = asProblem(JSON.parse(text));
    return new UploadError(problem.code, { ...waits, ...problem });
  }
  const detail = `The server answered with HTTP status ${response.status}.`;
  return new UploadError(codeOf(response.status), { ...waits, detail });
}

function notALadingServer(): UploadError {
  return new UploadError("no-server", { detail: "The response does not come from a Lading server." });
}
