/**
 * The credential in use, and when it must be renewed. It may be the admin token, a JSON Web Token, a
 * grant's token (`lg_…`), or none; without one the page's cookie counts.
 */

/** Why a token is requested: for the first time, before it expires, or after a refusal. */
export type TokenReason = "first" | "expiring" | "refused";

export type Token = string | ((reason: TokenReason) => string | Promise<string>) | undefined;

/** A token is replaced this many milliseconds before it expires. */
const AHEAD = 30_000;
/** A timer with more milliseconds fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export class Credential {
  private current: string | undefined;
  private reason: TokenReason = "first";

  constructor(private readonly given: Token) {}

  /** Whether there is a function that returns another token. */
  get renewable(): boolean {
    return typeof this.given === "function";
  }

  /** Whether this is a grant's token. A grant may give the file another name. */
  get isGrant(): boolean {
    return this.current?.startsWith("lg_") ?? false;
  }

  async get(): Promise<string | undefined> {
    if (typeof this.given !== "function") return (this.current = this.given);
    this.current ??= await this.given(this.reason);
    return this.current;
  }

  /** The server refused the token: the next `get` requests a new one. */
  refused(): void {
    this.current = undefined;
    this.reason = "refused";
  }

  /** Request a token before the present one expires; undefined when there is no newer one. */
  async renewed(): Promise<string | undefined> {
    if (typeof this.given !== "function") return undefined;
    const token = await this.given("expiring");
    if (token === this.current) return undefined;
    return (this.current = token);
  }

  /** Milliseconds from `now` until the token should be renewed; null: never. */
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
