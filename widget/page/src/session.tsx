/**
 * Asks for the token, and hands it to the server, which keeps it in a cookie that scripts cannot read;
 * and takes it back.
 */

import { useState } from "preact/hooks";
import { signIn, signOut } from "./api.js";
import { Confirm } from "./dialog.js";
import { Mark } from "./icons.js";
import { leaveUnasked, pauseRunning, underWay } from "./uploads.js";
import { sentence } from "./words.js";

export function SignIn({ refused, onSignedIn }: { refused: boolean; onSignedIn: () => void }) {
  const [failure, setFailure] = useState(refused ? "The token in the address is not a good one; paste the right one here." : "");
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
          The server prints its address with a token when it starts; open that, or paste the token here. On a
          site with users it is the token that the site gave you.
        </p>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary" disabled={busy}>Sign in</button>
      </form>
    </main>
  );
}

/** Signed out means that nothing of this tab goes on: asked first while uploads are under way, and told when it fails. */
export function SignOut() {
  const [asking, setAsking] = useState(false);
  const [failure, setFailure] = useState("");
  const leave = async () => {
    const goOn = pauseRunning();
    try {
      await signOut();
    } catch (error) {
      goOn();
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
          text="Uploads stop where they are. To go on later, sign in and choose the same files again."
          action="Sign out"
          otherwise="Stay"
          onConfirm={leave}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}
