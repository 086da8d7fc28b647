/** The session's token in the page: renewed before it expires, once for all who ask, and given to uploads. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sentenceOfSignIn } from "../../page/src/words.js";
import { UploadError } from "../../src/protocol/errors.js";

const LIFETIME = 900_000;

type Account = typeof import("../../page/src/account.js");

let account: Account;
let asked: string[];
let refused = false;
let watchers: (() => void)[];

/** A server that answers each refresh with another token, or refuses it. */
function answer(url: URL): Response {
  asked.push(url.pathname);
  if (refused) return Response.json({ code: "unauthorized", title: "no" }, { status: 401 });
  const now = Date.UTC(2026, 0, 1);
  const body = { user_id: "ann", session_id: "s", token: `t${asked.length}`, expires_at: new Date(now + LIFETIME).toISOString() };
  // The server's clock is not this one's.
  return Response.json(body, { headers: { Date: new Date(now).toUTCString() } });
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  asked = [];
  refused = false;
  watchers = [];
  const watch = (_: string, heard: () => void) => watchers.push(heard);
  vi.stubGlobal("document", { baseURI: "http://page.example/", hidden: false, addEventListener: watch });
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("fetch", (url: URL) => Promise.resolve(answer(url)));
  vi.resetModules();
  account = await import("../../page/src/account.js");
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

async function token(reason: "first" | "expiring" | "refused"): Promise<string> {
  const given = account.uploadToken();
  if (typeof given !== "function") throw new Error("no session");
  return given(reason);
}

describe("the session of the page", () => {
  it("has no token for uploads without a session", () => {
    expect(account.uploadToken()).toBeUndefined();
    expect(account.hasSession()).toBe(false);
  });

  it("asks once for all who ask together", async () => {
    expect(await Promise.all([account.renew(), account.renew(), account.renew()])).toEqual(["t1", "t1", "t1"]);
    expect(asked).toEqual(["/v1/session/refresh"]);
  });

  it("renews the token a minute before it expires, by the server's clock", async () => {
    await account.renew();
    await vi.advanceTimersByTimeAsync(LIFETIME - 61_000);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked).toHaveLength(2);
    expect(await token("first")).toBe("t2");
  });

  it("gives an upload the token that is there, and another one when that was refused", async () => {
    await account.renew();
    expect([await token("first"), await token("expiring")]).toEqual(["t1", "t1"]);
    expect(await token("refused")).toBe("t2");
  });

  it("renews at once when the device wakes after the time", async () => {
    await account.renew();
    vi.clearAllTimers();
    await vi.advanceTimersByTimeAsync(LIFETIME);
    expect(asked).toHaveLength(1);
    watchers.forEach((heard) => heard());
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toHaveLength(2);
  });

  it("ends when the server says so, and uploads hear it", async () => {
    await account.renew();
    const given = account.uploadToken();
    refused = true;
    expect(await account.renew()).toBeNull();
    expect(account.hasSession()).toBe(false);
    const failure = await Promise.resolve((given as (reason: "refused") => Promise<string>)("refused")).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "UploadError", code: "unauthorized" });
  });
});

describe("why somebody could not sign in", () => {
  it.each([
    ["unauthorized", {}, "The name or the password is wrong."],
    ["rate-limited", { retry_after: 61 }, "There were too many attempts. Try again in 2 minutes."],
    ["rate-limited", { retry_after: 9 }, "There were too many attempts. Try again in a minute."],
    ["forbidden", { detail: "This account is disabled." }, "This account is disabled."],
  ])("%s %o", (code, facts, sentence) => {
    expect(sentenceOfSignIn(new UploadError(code, facts))).toBe(sentence);
  });
});
