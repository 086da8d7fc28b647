import { describe, expect, test } from "vitest";

import { Credential, expiryOf } from "../../src/transport/credential.js";

const NOW = 1_700_000_000_000;

function jwt(claims: object): string {
  const part = btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_");
  return `header.${part.replaceAll("=", "")}.signature`;
}

test("a token that is a string never changes", async () => {
  const credential = new Credential("a token");
  expect([await credential.get(), credential.renewable]).toEqual(["a token", false]);
  credential.refused();
  expect(await credential.get()).toBe("a token");
  expect(await credential.renewed()).toBeUndefined();
});

test("without a token there is none", async () => {
  expect(await new Credential(undefined).get()).toBeUndefined();
});

test("a function is called once, and again when its token is refused", async () => {
  const reasons: string[] = [];
  const credential = new Credential((reason) => `token ${reasons.push(reason)}`);
  expect([await credential.get(), await credential.get()]).toEqual(["token 1", "token 1"]);
  credential.refused();
  expect(await credential.get()).toBe("token 2");
  expect(await credential.renewed()).toBe("token 3");
  expect(reasons).toEqual(["first", "refused", "expiring"]);
});

test("a grant's token is recognised", async () => {
  const credential = new Credential("lg_abc");
  await credential.get();
  expect(credential.isGrant).toBe(true);
});

describe("renewal", () => {
  async function renewal(left: number): Promise<number | null> {
    const credential = new Credential(() => jwt({ exp: (NOW + left) / 1000 }));
    await credential.get();
    return credential.renewal(NOW);
  }

  test.each([
    ["half a minute ahead", 600_000, 570_000],
    ["half of what is left, if that is little", 40_000, 20_000],
    ["not of what is expired", -1000, null],
    ["not later than a timer can run", 1e11, 2 ** 31 - 1],
  ])("is %s", async (_, left, expected) => expect(await renewal(left)).toBe(expected));

  test("is not possible for a string", async () => {
    const credential = new Credential(jwt({ exp: NOW / 1000 + 600 }));
    await credential.get();
    expect(credential.renewal(NOW)).toBeNull();
  });

  test("needs another token", async () => {
    const credential = new Credential(() => "the same");
    await credential.get();
    expect(await credential.renewed()).toBeUndefined();
  });
});

test.each([
  ["a JSON Web Token", jwt({ exp: 5, name: "ÿ>?".slice(1) }), 5000],
  ["one without an expiry", jwt({ sub: "ann" }), null],
  ["another token", "lg_abc", null],
  ["points alone", "a.b.c", null],
])("the expiry of %s", (_, token, expected) => expect(expiryOf(token)).toBe(expected));
