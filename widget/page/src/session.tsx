/** Sign-in, sign-up and sign-out. The server keeps tokens in cookies that scripts cannot read. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { forget, keep } from "./account.js";
import { beginSession, signIn, signOut, signUp, type Ways } from "./api.js";
import { Confirm } from "./dialog.js";
import { Mark } from "./icons.js";
import { hasPasskeys, PasskeyButton } from "./passkeys.js";
import { leaveUnasked, pauseRunning, underWay } from "./uploads.js";
import { sentence, sentenceOfProvider, sentenceOfSignIn } from "./words.js";

const INVITATION = /^#invite=(lg_[\w-]+)$/;

/** The invitation in the address; null when there is none. */
const invitation = () => INVITATION.exec(location.hash)?.[1] ?? null;

interface Entrance {
  ways: Ways;
  onSignedIn: () => void;
}

type View = "password" | "token" | "signup";

export function SignIn({ ways, onSignedIn }: Entrance) {
  const refused = location.hash === "#refused";
  const hasAccounts = ways.ways.includes("password");
  const [view, setView] = useState<View>(
    !hasAccounts || refused ? "token" : invitation() !== null && ways.signup !== "closed" ? "signup" : "password",
  );
  const entered = () => {
    // The invitation is used, and the next one at this device must not find it in the address.
    history.replaceState(null, "", location.pathname);
    onSignedIn();
  };
  const canSignUp = ways.signup === "open" || (ways.signup === "invite" && invitation() !== null);
  return (
    <main class="sign-in">
      <div>
        <h1><Mark /> Lading</h1>
        {ways.ways.includes("oidc") && view !== "signup" && <ProviderLink host={ways.provider ?? ""} />}
        {view === "token" && <TokenForm refused={refused} onSignedIn={entered} />}
        {view === "password" && <PasswordForm onSignedIn={entered} />}
        {view === "signup" && <SignUpForm onSignedIn={entered} />}
        {ways.ways.includes("passkey") && view === "password" && hasPasskeys() && <PasskeyButton onSignedIn={entered} />}
        {hasAccounts && view !== "password" && (
          <button type="button" class="link-like" onClick={() => setView("password")}>Sign in with a name and a password</button>
        )}
        {canSignUp && view !== "signup" && (
          <button type="button" class="link-like" onClick={() => setView("signup")}>Make an account</button>
        )}
        {hasAccounts && view === "password" && (
          <button type="button" class="link-like" onClick={() => setView("token")}>Sign in with a token</button>
        )}
      </div>
    </main>
  );
}

const REFUSED = /^#oidc=([\w-]+)$/;

/** Leads to the OpenID provider, and says why somebody came back from there without a session. */
function ProviderLink({ host }: { host: string }) {
  const [failure] = useState(REFUSED.exec(location.hash)?.[1]);
  return (
    <>
      {failure && <p class="problem" role="alert">{sentenceOfProvider(failure, host)}</p>}
      <a class="button" href="oidc">Sign in at {host}</a>
    </>
  );
}

interface FormProps {
  action: string;
  onSubmit: (field: (name: string) => string) => Promise<void>;
  explain: (error: unknown) => string;
  before?: string;
  children: ComponentChildren;
}

/** A form that says why it failed, and can be sent once at a time. */
export function Form({ action, onSubmit, explain, before = "", children }: FormProps) {
  const [failure, setFailure] = useState(before);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    setBusy(true);
    setFailure("");
    try {
      await onSubmit((name) => String(data.get(name) ?? ""));
      form.reset();
    } catch (error) {
      setFailure(explain(error));
    }
    setBusy(false);
  };
  return (
    <form class="form" onSubmit={submit}>
      {children}
      {failure && <p class="problem" role="alert">{failure}</p>}
      <button type="submit" class="primary" disabled={busy}>{action}</button>
    </form>
  );
}

function TokenForm({ refused, onSignedIn }: { refused: boolean; onSignedIn: () => void }) {
  const submit = async (field: (name: string) => string) => {
    await signIn(field("token").trim());
    onSignedIn();
  };
  const before = refused ? "The token in the address is not valid. Paste the right token here." : "";
  return (
    <Form action="Sign in" onSubmit={submit} explain={sentence} before={before}>
      <p>
        When the server starts, it prints an address with a token. Open that address, or paste the token here.
        If a site gave you a token, paste that one.
      </p>
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
    </Form>
  );
}

function PasswordForm({ onSignedIn }: { onSignedIn: () => void }) {
  const submit = async (field: (name: string) => string) => {
    keep(await beginSession(field("username"), field("password")));
    onSignedIn();
  };
  return (
    <Form action="Sign in" onSubmit={submit} explain={sentenceOfSignIn}>
      <NameField />
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required />
    </Form>
  );
}

function SignUpForm({ onSignedIn }: { onSignedIn: () => void }) {
  const submit = async (field: (name: string) => string) => {
    keep(await signUp(field("username"), field("password"), invitation()));
    onSignedIn();
  };
  return (
    <Form action="Make the account" onSubmit={submit} explain={sentenceOfSignIn}>
      <p>{invitation() ? "You are invited. Choose a name and a password." : "Choose a name and a password."}</p>
      <NameField />
      <label for="password">Password</label>
      <NewPassword id="password" name="password" />
    </Form>
  );
}

function NameField() {
  return (
    <>
      <label for="username">Name</label>
      <input
        id="username" name="username" type="text" autocomplete="username" autocapitalize="none" spellcheck={false}
        maxLength={64} required autofocus
      />
    </>
  );
}

/** A field for a password that is to be set; the server has the same rule. */
export function NewPassword({ id, name }: { id: string; name: string }) {
  return (
    <>
      <input
        id={id} name={name} type="password" autocomplete="new-password" minLength={8} maxLength={1024} required
        aria-describedby={`${id}-hint`}
      />
      <p class="hint" id={`${id}-hint`}>At least 8 characters. A few words are easy to remember and hard to guess.</p>
    </>
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
    forget();
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
