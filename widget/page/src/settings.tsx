/** The account of whoever is signed in: where that is, and another password. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { keep } from "./account.js";
import { changePassword, endOtherSessions, endSession, listSessions, type Session } from "./api.js";
import { Dialog } from "./dialog.js";
import { announce } from "./live.js";
import { hasPasskeys, PasskeySection } from "./passkeys.js";
import { Form, NewPassword } from "./session.js";
import { ago, moment, sentence, sentenceOfPassword } from "./words.js";

export function AccountButton({ name }: { name: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="link-like user" title="Your account" onClick={() => setOpen(true)}>{name}</button>
      {open && <AccountDialog name={name} onClose={() => setOpen(false)} />}
    </>
  );
}

function AccountDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const [sessions, setSessions] = useState<Session[]>([]);
  const [failure, setFailure] = useState("");
  const look = useCallback(async () => {
    try {
      setSessions(await listSessions());
      setFailure("");
    } catch (error) {
      setFailure(sentence(error));
    }
  }, []);
  useEffect(() => void look(), [look]);
  const end = async (ended: Promise<unknown>, told: string) => {
    try {
      await ended;
      announce(told);
    } catch (error) {
      setFailure(sentence(error));
      return;
    }
    await look();
  };
  const change = async (field: (name: string) => string) => {
    keep(await changePassword(field("password"), field("new_password")));
    announce("The password is changed. All other sessions ended.");
    await look();
  };
  return (
    <Dialog title={name} onClose={onClose}>
      <section class="form" aria-labelledby="sessions">
        <h3 id="sessions">Where you are signed in</h3>
        {failure && <p class="problem" role="alert">{failure}</p>}
        <ul class="sessions">
          {sessions.map((session) => (
            <li key={session.id}>
              <div>
                <p class="breakable">{device(session.agent)}{session.current && " (here)"}</p>
                <p class="hint">
                  {session.address}, <time dateTime={session.used_at} title={moment(session.used_at)}>{ago(session.used_at)}</time>
                </p>
              </div>
              {!session.current && (
                <button
                  type="button"
                  aria-label={`End the session of ${device(session.agent)}, ${ago(session.used_at)}`}
                  onClick={() => end(endSession(session.id), "The session ended.")}
                >
                  End
                </button>
              )}
            </li>
          ))}
        </ul>
        {sessions.length > 1 && (
          <button type="button" onClick={() => end(endOtherSessions(), "All other sessions ended.")}>Sign out everywhere else</button>
        )}
      </section>
      {hasPasskeys() && <PasskeySection />}
      <section aria-labelledby="password-title">
        <Form action="Change the password" onSubmit={change} explain={sentenceOfPassword}>
          <h3 id="password-title">Another password</h3>
          <p class="hint">All other sessions end.</p>
          {/* For the programs that remember passwords. */}
          <input type="text" name="username" autocomplete="username" value={name} hidden readOnly />
          <label for="password">Present password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required />
          <label for="new_password">New password</label>
          <NewPassword id="new_password" name="new_password" />
        </Form>
      </section>
    </Dialog>
  );
}

const BROWSERS = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrom(e|ium)\//, "Chrome"],
  [/Safari\//, "Safari"],
] as const;
const SYSTEMS = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
] as const;

/** What people call a browser and its system; the text itself for anything else. */
export function device(agent: string): string {
  const browser = BROWSERS.find(([sign]) => sign.test(agent))?.[1];
  const system = SYSTEMS.find(([sign]) => sign.test(agent))?.[1];
  if (browser === undefined) return agent || "An unknown program";
  return system === undefined ? browser : `${browser} on ${system}`;
}
