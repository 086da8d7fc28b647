/** Passkeys: a device signs in its owner, after it has seen a finger, a face or a number. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { keep } from "./account.js";
import {
  addPasskey, askForNewPasskey, askForPasskey, beginSessionWithPasskey, deletePasskey, listPasskeys, type Passkey,
} from "./api.js";
import { announce } from "./live.js";
import { Form } from "./session.js";
import { ago, sentence, sentenceOfPasskey } from "./words.js";

/** Whether this browser has passkeys for this page: not over plain HTTP, and not at an address of digits. */
export const hasPasskeys = () =>
  isSecureContext &&
  "PublicKeyCredential" in window &&
  "parseRequestOptionsFromJSON" in PublicKeyCredential &&
  !/^[\d.]+$|^\[/.test(location.hostname);

async function signInWithPasskey(): Promise<void> {
  const { options, state } = await askForPasskey();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null;
  if (credential) keep(await beginSessionWithPasskey(state, credential.toJSON()));
}

export function PasskeyButton({ onSignedIn }: { onSignedIn: () => void }) {
  const [failure, setFailure] = useState("");
  const press = async () => {
    setFailure("");
    try {
      await signInWithPasskey();
    } catch (error) {
      setFailure(sentenceOfPasskey(error));
      return;
    }
    onSignedIn();
  };
  return (
    <>
      <button type="button" onClick={press}>Sign in with a passkey</button>
      {failure && <p class="problem" role="alert">{failure}</p>}
    </>
  );
}

async function make(password: string | null, label: string): Promise<void> {
  const { options, state } = await askForNewPasskey(password);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
  if (credential) await addPasskey(state, credential.toJSON(), label);
}

export function PasskeySection() {
  const [passkeys, setPasskeys] = useState<Passkey[]>([]);
  const [failure, setFailure] = useState("");
  const look = useCallback(async () => {
    try {
      setPasskeys(await listPasskeys());
      setFailure("");
    } catch (error) {
      setFailure(sentence(error));
    }
  }, []);
  useEffect(() => void look(), [look]);
  const remove = async ({ id, label }: Passkey) => {
    try {
      await deletePasskey(id);
      announce(`The passkey ${label} is deleted.`);
    } catch (error) {
      setFailure(sentence(error));
      return;
    }
    await look();
  };
  const add = async (field: (name: string) => string) => {
    await make(field("passkey-password") || null, field("label"));
    announce("The passkey is added.");
    await look();
  };
  return (
    <section class="form" aria-labelledby="passkeys">
      <h3 id="passkeys">Passkeys</h3>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {passkeys.length > 0 && (
        <ul class="sessions">
          {passkeys.map((passkey) => (
            <li key={passkey.id}>
              <div>
                <p class="breakable">{passkey.label}</p>
                <p class="hint">{passkey.used_at ? `used ${ago(passkey.used_at)}` : "not used yet"}</p>
              </div>
              <button type="button" aria-label={`Delete the passkey ${passkey.label}`} onClick={() => remove(passkey)}>Delete</button>
            </li>
          ))}
        </ul>
      )}
      <Form action="Add a passkey" onSubmit={add} explain={sentenceOfPasskey}>
        <label for="label">Name of this device</label>
        <input id="label" name="label" type="text" maxLength={64} autocomplete="off" required />
        <label for="passkey-password">Password, if you have one</label>
        <input id="passkey-password" name="passkey-password" type="password" autocomplete="current-password" />
      </Form>
    </section>
  );
}
