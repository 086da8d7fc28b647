/** Signing in at a real OpenID provider, `oidc-provider`, which is another site than the page. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server as HttpServer } from "node:http";
import type { Page } from "@playwright/test";
import Provider from "oidc-provider";
import { sound } from "./axe.js";
import { Proxy } from "./proxy.js";
import { Server } from "./server.js";
import { expect, test } from "@playwright/test";

const CLIENT = { client_id: "lading", client_secret: "a secret of the tests: with signs, + / = & %" };

/** People of the provider by what they type there. Whoever is not here has no groups. */
const GROUPS: Readonly<Record<string, string[]>> = { ann: ["staff", "lading-admins"], bob: ["staff"] };

interface Site {
  server: Server;
  /** Where the page is. The provider is at `localhost`, which is another site than 127.0.0.1. */
  url: string;
  close: () => Promise<void>;
}

async function listen(server: HttpServer): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function start(): Promise<Site> {
  // The provider must know the page's address, and the server that of the provider: both ports come first.
  let handle: (...given: Parameters<ReturnType<Provider["callback"]>>) => unknown = () => undefined;
  const http = createServer((request, response) => void handle(request, response));
  const issuer = `http://localhost:${await listen(http)}`;
  const server = await Server.start({
    LADING_AUTH: "accounts",
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.client_id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.client_secret,
    LADING_OIDC_ADMIN_GROUP: "lading-admins",
    LADING_OIDC_GRANT_GROUP: "staff",
  });
  const network = await Proxy.before(server.port);
  const provider = new Provider(issuer, {
    clients: [{ ...CLIENT, redirect_uris: [`${network.url}/oidc/callback`] }],
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    pkce: { required: () => true },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: GROUPS[id] ?? [] }),
    }),
  });
  handle = provider.callback();
  const close = async () => {
    await network.close();
    await server.stop();
    http.closeAllConnections();
    http.close();
  };
  return { server, url: network.url, close };
}

/** Fill in the provider's own pages. */
async function enter(page: Page, site: Site, name: string): Promise<void> {
  await page.goto(site.url);
  await page.getByRole("link", { name: "Sign in at localhost" }).click();
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

let site: Site;

test.beforeAll(async () => {
  site = await start();
});
test.afterAll(() => site.close());

test("somebody whom the provider knows gets an account, and the scopes of the groups", async ({ page }) => {
  await page.goto(site.url);
  await expect(page.getByRole("link", { name: "Sign in at localhost" })).toBeVisible();
  await sound(page, "signing in");
  await enter(page, site, "ann");
  await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
  await expect(page.getByRole("button", { name: "ann", exact: true })).toBeVisible();
  const { users } = (await (await site.server.ask("/v1/users")).json()) as {
    users: { user_id: string; account: { scopes: string[]; has_password: boolean } }[];
  };
  const ann = users.find(({ user_id }) => user_id === "ann");
  expect(ann?.account).toMatchObject({ scopes: ["admin", "grant"], has_password: false });

  // The next time, the same account; the provider asks nothing more.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("link", { name: "Sign in at localhost" }).click();
  await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
});

test("the name of somebody else gives nobody their account", async ({ page }) => {
  const body = JSON.stringify({ name: "bob", password: "correct horse" });
  await site.server.ask("/v1/users", { method: "POST", body });
  await enter(page, site, "bob");
  await expect(page.getByText("localhost or this server does not let you in.")).toBeVisible();
});

test("whoever goes back without signing in is told so", async ({ page }) => {
  await page.goto(`${site.url}/oidc/callback?error=access_denied&state=x`);
  await expect(page.getByText("took too long, or was begun in another browser")).toBeVisible();
});
