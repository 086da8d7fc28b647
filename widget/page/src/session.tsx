/** Asks for the token, and hands it to the server, which keeps it in a cookie that scripts cannot read. */

import { useState } from "preact/hooks";
import { signIn } from "./api.js";
import { Mark } from "./icons.js";
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
