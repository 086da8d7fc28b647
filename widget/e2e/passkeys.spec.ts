/** Passkeys, by Chromium's virtual authenticator. They need a host that is a name: `localhost`. */

import type { CDPSession, Page } from "@playwright/test";
import { expect, test } from "@playwright/test";
import { sound } from "./axe.js";
import { Server } from "./server.js";

const PASSWORD = "correct horse";

let server: Server;
let url: string;

test.beforeAll(async () => {
  server = await Server.start({ LADING_AUTH: "accounts" });
  url = server.url.replace("127.0.0.1", "localhost");
  await server.ask("/v1/users", { method: "POST", body: JSON.stringify({ name: "ann", password: PASSWORD }) });
});
test.afterAll(() => server.stop());

/** A device of the browser, whose owner shows a finger or does not. */
class Device {
  private constructor(private readonly session: CDPSession, private readonly id: string) {}

  static async of(page: Page): Promise<Device> {
    const session = await page.context().newCDPSession(page);
    await session.send("WebAuthn.enable");
    const options = {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    } as const;
    const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", { options });
    return new Device(session, authenticatorId);
  }

  async recognize(isUserVerified: boolean): Promise<void> {
    await this.session.send("WebAuthn.setUserVerified", { authenticatorId: this.id, isUserVerified });
  }
}

const inside = (page: Page) => expect(page.getByRole("heading", { name: "Library" })).toBeVisible();

test("a passkey is added with the password, signs in, and is deleted", async ({ page }) => {
  const device = await Device.of(page);
  await page.goto(url);
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await inside(page);
  await page.getByRole("button", { name: "ann", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "ann" });
  await dialog.getByLabel("Name of this device").fill("Ann's phone");
  await dialog.getByLabel("Password, if you have one").fill("wrong horse");
  await dialog.getByRole("button", { name: "Add a passkey" }).click();
  await expect(dialog.getByText("The name or the password is wrong.")).toBeVisible();
  await dialog.getByLabel("Password, if you have one").fill(PASSWORD);
  await dialog.getByRole("button", { name: "Add a passkey" }).click();
  await expect(dialog.getByText("not used yet")).toBeVisible();
  await sound(page, "passkeys");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Sign out" }).click();

  await device.recognize(false);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByText("No passkey was used.")).toBeVisible();
  await device.recognize(true);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await inside(page);
  await expect(page.getByRole("button", { name: "ann", exact: true })).toBeVisible();

  await page.getByRole("button", { name: "ann", exact: true }).click();
  await expect(dialog.getByText("used just now")).toBeVisible();
  await dialog.getByRole("button", { name: "Delete the passkey Ann's phone" }).click();
  await expect(dialog.getByText("used just now")).toHaveCount(0);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByText("This passkey is not known here.")).toBeVisible();
});

test("an answer of a device is good once, and at this site only", async ({ page }) => {
  await Device.of(page);
  await page.goto(url);
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await inside(page);
  const statuses = await page.evaluate(async (password) => {
    const post = async (path: string, body: unknown) => {
      const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as { options: never; state: string } };
    };
    const asked = await post("/v1/passkeys/options", { password });
    const made = await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked.body.options),
    });
    const added = { state: asked.body.state, credential: (made as PublicKeyCredential).toJSON(), label: "a" };
    const first = await post("/v1/passkeys", added);
    const again = await post("/v1/passkeys", added);

    const use = await post("/v1/session/passkey/options", {});
    const other = await post("/v1/session/passkey/options", {});
    const shown = await navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(use.body.options),
    });
    const credential = (shown as PublicKeyCredential).toJSON();
    const elsewhere = await post("/v1/session/passkey", { state: other.body.state, credential });
    const mixed = await post("/v1/session/passkey", { state: asked.body.state, credential });
    const good = await post("/v1/session/passkey", { state: use.body.state, credential });
    const twice = await post("/v1/session/passkey", { state: use.body.state, credential });
    return [first, again, elsewhere, mixed, good, twice].map(({ status }) => status);
  }, PASSWORD);
  expect(statuses).toEqual([201, 401, 401, 401, 200, 401]);
});
