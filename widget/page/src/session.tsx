/** Sign-in and sign-out. The server keeps the token in a cookie that scripts cannot read. */

import { useState } from "preact/hooks";
import { signIn, signOut } from "./api.js";
import { Confirm } from "./dialog.js";
import { Mark } from "./icons.js";
import { leaveUnasked, pauseRunning, underWay } from "./uploads.js";
import { sentence } from "./words.js";

export function SignIn({ refused, onSignedIn }: { refused: boolean; onSignedIn: () => void }) {
  const [failure, setFailure] = useState(refused ? "The token in the address is not valid. Paste the right token here." : "");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token");
    setBusy(true);
    try {
      await signIn(String(token).trim());
      onSignedIn();
    } catch (error) {
      setFailure(sentence(error));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1><Mark /> Lading</h1>
        <p>
          When the server starts, it prints an address with a token. Open that address, or paste the token here.
          If a site gave you a token, paste that one.
        </p>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary" disabled={busy}>Sign in</button>
      </form>
    </main>
  );
}

/** Signing out stops the uploads of this tab, so it asks first while there are any. */
export function SignOut() {
  const [asking, setAsking] = useState(false);
  const [failure, setFailure] = useState("");
  const leave = async () => {
    const resume = pauseRunning();
    try {
      await signOut();
    } catch (error) {
      resume();
      throw error;
    }
    leaveUnasked();
    location.assign(".");
  };
  const press = () => {
    setFailure("");
    if (underWay()) setAsking(true);
    else leave().catch((error: unknown) => setFailure(sentence(error)));
  };
  return (
    <>
      <button type="button" class="link-like" onClick={press}>Sign out</button>
      {failure && <p class="problem" role="alert">You are still signed in. {failure}</p>}
      {asking && (
        <Confirm
          title="Sign out during an upload?"
          text="Your uploads stop. To resume them later, sign in and choose the same files again."
          action="Sign out"
          otherwise="Stay signed in"
          onConfirm={leave}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}
