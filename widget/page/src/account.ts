/**
 * Someone who signed in with a name and a password: the access token of the session, and its renewal.
 *
 * The token is in a cookie, too, for images and films; here it is for uploads, whose connections get a new one before
 * the old one expires. The refresh token is in a cookie that no script reads. With another credential there is none of
 * this, and the cookie alone counts.
 */

import { UploadError } from "../../src/protocol/errors.js";
import type { Token, TokenReason } from "../../src/transport/credential.js";
import { type SignedIn, refreshSession } from "./api.js";
import { tell } from "./news.js";

/** The token is renewed this many milliseconds before it expires. */
const AHEAD = 60_000;

interface Session {
  token: string;
  /** When to renew it, on the clock of `performance.now`. */
  due: number;
}

let session: Session | null = null;
let running: Promise<string | null> | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Whether somebody signed in with a name and a password. */
export const hasSession = () => session !== null;

/** A session began, or goes on with other tokens. */
export function keep({ token, lifetime }: SignedIn & { lifetime: number }): void {
  const left = Math.max(lifetime - AHEAD, lifetime / 2);
  session = { token, due: performance.now() + left };
  clearTimeout(timer);
  timer = setTimeout(() => void renew().catch(() => undefined), left);
}

export function forget(): void {
  session = null;
  clearTimeout(timer);
}

/** Another token for the session; null when there is none. Throws when the server cannot be reached. */
export function renew(): Promise<string | null> {
  return (running ??= alone(ask).finally(() => (running = undefined)));
}

/** Tabs ask one after the other: each with the refresh token that the one before got. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  // Only pages over https, and those of this machine, have locks.
  return "locks" in navigator ? navigator.locks.request("lading-session", work) : work();
}

async function ask(): Promise<string | null> {
  try {
    keep(await refreshSession());
  } catch (error) {
    if (!(error instanceof UploadError) || (error.code !== "unauthorized" && error.code !== "not-found")) throw error;
    forget();
  }
  return session?.token ?? null;
}

/** The credential of uploads: a function that returns the token of the session, or none without a session. */
export const uploadToken = (): Token => (session ? current : undefined);

async function current(reason: TokenReason): Promise<string> {
  if (reason !== "refused" && session && performance.now() < session.due) return session.token;
  const token = await renew();
  if (token === null) {
    tell("signed-out");
    throw new UploadError("unauthorized");
  }
  return token;
}

// A device that slept: the timer may be late.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && session && performance.now() >= session.due) void renew().catch(() => undefined);
});
