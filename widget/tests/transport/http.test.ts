import { describe, expect, test, vi } from "vitest";

import { Credential } from "../../src/transport/credential.js";
import { Api } from "../../src/transport/http.js";

function apiOf(answer: () => Response | Promise<Response>, token?: string): [Api, Request[]] {
  const asked: Request[] = [];
  const fetch = async (address: unknown, init?: RequestInit): Promise<Response> => {
    asked.push(new Request(address as string, init));
    return answer();
  };
  return [new Api("http://peer.test/below", new Credential(token), fetch), asked];
}

function failing(answer: () => Response | Promise<Response>): Promise<unknown> {
  return apiOf(answer)[0].json("GET", "/v1/uploads");
}

test("a request carries the token and a JSON body", async () => {
  const [api, asked] = apiOf(() => Response.json({ a: 1 }), "a token");
  expect(await api.json("POST", "/v1/uploads", { json: { name: "n" } })).toEqual({ a: 1 });
  const [request] = asked;
  expect(request?.url).toBe("http://peer.test/below/v1/uploads");
  expect(request?.headers.get("Authorization")).toBe("Bearer a token");
  expect(await request?.json()).toEqual({ name: "n" });
  expect(api.channel).toBe("ws://peer.test/below/v1/ws");
});

test("a request to another site's server says what to check when nothing is known of its failure", async () => {
  vi.stubGlobal("location", { origin: "https://site.test", href: "https://site.test/a" });
  const lost = (): never => {
    throw new TypeError("Failed to fetch");
  };
  await expect(failing(lost)).rejects.toMatchObject({
    code: "network",
    detail: expect.stringContaining("LADING_ALLOWED_ORIGINS contains https://site.test") as unknown,
  });
  vi.unstubAllGlobals();
  await expect(failing(lost)).rejects.toMatchObject({ detail: "TypeError: Failed to fetch" });
});

test("without a token there is no Authorization header", async () => {
  const [api, asked] = apiOf(() => new Response(null, { status: 204 }));
  expect(await api.json("DELETE", "/v1/uploads/1")).toEqual({});
  expect(asked[0]?.headers.has("Authorization")).toBe(false);
});

test("addresses are made absolute below the server's", () => {
  const [api] = apiOf(() => Response.json({}));
  expect(api.absolute("/v1/files/1")).toBe("http://peer.test/below/v1/files/1");
  expect(api.absolute("https://cdn.test/1")).toBe("https://cdn.test/1");
});

describe("a refusal", () => {
  test("is what its problem document says", async () => {
    const problem = { code: "quota-exceeded", title: "Full.", detail: "10 of 10.", limit: 10 };
    const headers = { "Content-Type": "application/problem+json", "Retry-After": "7" };
    const error = failing(() => Response.json(problem, { status: 507, headers }));
    await expect(error).rejects.toMatchObject({
      code: "quota-exceeded",
      detail: "10 of 10.",
      retryable: false,
      facts: { limit: 10, retry_after: 7 },
    });
  });

  test.each([
    [401, "unauthorized"],
    [403, "forbidden"],
    [404, "not-found"],
    [408, "request-timeout"],
    [413, "too-large"],
    [425, "unavailable"],
    [429, "rate-limited"],
    [500, "unavailable"],
    [502, "unavailable"],
    [503, "unavailable"],
    [504, "unavailable"],
    [520, "unavailable"],
    [530, "unavailable"],
    [531, "internal"],
    [418, "internal"],
  ])("with status %i from a proxy is %s", async (status, code) => {
    await expect(failing(() => new Response("<html>", { status }))).rejects.toMatchObject({ code });
  });

  test("without a valid problem does not come from a Lading server", async () => {
    const headers = { "Content-Type": "application/problem+json" };
    for (const body of ["[1]", "not JSON", "{}"]) {
      const error = failing(() => new Response(body, { status: 400, headers }));
      await expect(error).rejects.toMatchObject({ code: "no-server" });
    }
  });
});

test.each(["<html>a login page</html>", "[]", "1"])("%s is not an answer of a Lading server", async (body) => {
  await expect(failing(() => new Response(body))).rejects.toMatchObject({ code: "no-server" });
});

test("a request that fails is a network error", async () => {
  const cause = new TypeError("Failed to fetch");
  const error = failing(() => Promise.reject(cause));
  await expect(error).rejects.toMatchObject({ code: "network", retryable: true, cause });
});
