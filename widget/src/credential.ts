/**
 * The credential in use, and when it must be renewed.
 *
 * Owns the caller's token or the function that gives one. Refuses to know what it opens: it may be
 * the server's, a JSON Web Token, a grant's (`lg_…`), or none, which leaves it to a cookie.
 */

/** Why a token is asked for: at first, before it expires, or since the server refused the last. */
export type TokenReason = "first" | "expiring" | "refused";

export type Token = string | ((reason: TokenReason) => string | Promise<string>) | undefined;

/** Milliseconds before its expiry that a token is replaced. */
const AHEAD = 30_000;
/** Milliseconds beyond which timers go off at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export class Credential {
  private current: string | undefined;
  private reason: TokenReason = "first";

  constructor(private readonly given: Token) {}

  /** Whether another token can be had. */
  get renewable(): boolean {
    return typeof this.given === "function";
  }

  /** Whether the token is a grant's, which may give the file another name. */
  get isGrant(): boolean {
    return this.current?.startsWith("lg_") ?? false;
  }

  async get(): Promise<string | undefined> {
    if (typeof this.given !== "function") return (this.current = this.given);
    this.current ??= await this.given(this.reason);
    return this.current;
  }

  /** The server refused it: the next `get` asks for a new one. */
  refused(): void {
    this.current = undefined;
    this.reason = "refused";
  }

  /** Another token although the one in use is still good; undefined when there is none. */
  async renewed(): Promise<string | undefined> {
    if (typeof this.given !== "function") return undefined;
    const token = await this.given("expiring");
    if (token === this.current) return undefined;
    return (this.current = token);
  }

  /** Milliseconds from `now` until the token should be renewed, or null: it need not be. */
  renewal(now: number): number | null {
    if (!this.renewable || this.current === undefined) return null;
    const expiry = expiryOf(this.current);
    if (expiry === null) return null;
    const left = expiry - now;
    return left <= 0 ? null : Math.min(Math.max(left - AHEAD, left / 2), LONGEST_TIMER);
  }
}

/** When a JSON Web Token expires, in milliseconds since 1970; null for any other token. */
export function expiryOf(token: string): number | null {
  const [, claims, signature] = token.split(".");
  if (claims === undefined || signature === undefined) return null;
  try {
    const text = atob(claims.replaceAll("-", "+").replaceAll("_", "/"));
    const { exp } = JSON.parse(text) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1000 : null;
  } catch {
    return null;
  }
}
