/** The users: usage and quota, accounts that are added, disabled, deleted, and invitations. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { addUser, deleteUser, disableUser, invite, listUsers, setQuota, type UserEntry } from "./admin-api.js";
import { More, usePages } from "./admin-lists.js";
import { getWays, home, type Ways } from "./api.js";
import { Confirm, Dialog } from "./dialog.js";
import { announce } from "./live.js";
import { Form, NewPassword } from "./session.js";
import { UsageBar } from "./usage.js";
import { sentence, sentenceOfSignIn, size } from "./words.js";

const GB = 1e9;

type Asked = { what: "change" | "delete"; user: UserEntry } | { what: "add" | "invite" } | null;

export function Users({ changes }: { changes: number }) {
  const list = usePages(useCallback(async (cursor: string | null) => {
    const { users, cursor: next } = await listUsers(cursor);
    return { found: users, next };
  }, []), changes);
  const [ways, setWays] = useState<Ways | null>(null);
  useEffect(() => void getWays().then(setWays, () => undefined), []);
  const [asked, ask] = useState<Asked>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const close = () => ask(null);
  const done = async (told: string) => {
    announce(told);
    await list.again();
    close();
  };
  const hasAccounts = ways?.ways.includes("password") ?? false;
  return (
    <section class="panel" aria-labelledby="users">
      <div class="head">
        <h3 id="users" tabIndex={-1} ref={heading}>Users</h3>
        {hasAccounts && <button type="button" onClick={() => ask({ what: "add" })}>Add a user</button>}
        {hasAccounts && ways?.signup !== "closed" && <button type="button" onClick={() => ask({ what: "invite" })}>Invite</button>}
      </div>
      {list.failure && <p class="problem" role="alert">{list.failure}</p>}
      <ul class="rows">
        {list.found.map((user) => (
          <li key={user.user_id}>
            <div class="row-facts">
              <strong class="breakable">{user.user_id}</strong>
              <p class="hint">{role(user)}</p>
            </div>
            <UsageBar usage={user} />
            <button type="button" aria-label={`Change ${user.user_id}`} onClick={() => ask({ what: "change", user })}>Change</button>
          </li>
        ))}
      </ul>
      <More list={list} of="users" />
      {asked?.what === "add" && <AddUser onClose={close} onDone={done} />}
      {asked?.what === "invite" && <Invite onClose={close} />}
      {asked?.what === "change" && (
        <ChangeUser user={asked.user} onClose={close} onDone={done} onDelete={() => ask({ what: "delete", user: asked.user })} />
      )}
      {asked?.what === "delete" && (
        <Confirm
          title={`Delete ${asked.user.user_id}?`}
          text={`All files, uploads, tags and links of ${asked.user.user_id} are deleted: ${size(asked.user.used)}.`}
          action="Delete"
          onConfirm={async () => {
            await deleteUser(asked.user.user_id);
            announce(`${asked.user.user_id} is deleted.`);
            await list.again();
            heading.current?.focus();
          }}
          onClose={close}
        />
      )}
    </section>
  );
}

function role({ account }: UserEntry): string {
  if (account === undefined) return "without an account";
  const scopes = account.scopes.length === 0 ? "" : ` (${account.scopes.join(", ")})`;
  return `${account.disabled ? "disabled" : "account"}${scopes}`;
}

/** A quota in GB as it is typed; null for an empty field, which sets no limit. */
export function quotaOf(text: string): number | null {
  const typed = text.trim().replace(",", ".");
  return typed === "" ? null : Math.round(Number(typed) * GB);
}

function QuotaField({ quota }: { quota: number | null }) {
  return (
    <>
      <label for="quota">Quota in GB</label>
      <input id="quota" name="quota" type="number" min="0" step="any" inputMode="decimal" aria-describedby="quota-hint" {...(quota === null ? {} : { value: quota / GB })} />
      <p class="hint" id="quota-hint">Leave it empty for no limit.</p>
    </>
  );
}

interface Asking {
  onClose: () => void;
  onDone: (told: string) => Promise<void>;
}

function AddUser({ onClose, onDone }: Asking) {
  const add = async (field: (name: string) => string) => {
    const name = field("name");
    await addUser({ name, password: field("password"), quota: quotaOf(field("quota")) });
    await onDone(`${name} has an account.`);
  };
  return (
    <Dialog title="Add a user" onClose={onClose}>
      <Form action="Add" onSubmit={add} explain={sentenceOfSignIn}>
        <label for="name">Name</label>
        <input id="name" name="name" autocomplete="off" autocapitalize="none" required autofocus />
        <label for="new-password">Password</label>
        <NewPassword id="new-password" name="password" />
        <QuotaField quota={null} />
      </Form>
    </Dialog>
  );
}

function ChangeUser({ user, onClose, onDone, onDelete }: Asking & { user: UserEntry; onDelete: () => void }) {
  const { user_id: id, account } = user;
  const [failure, setFailure] = useState("");
  const change = async (field: (name: string) => string) => {
    await setQuota(id, quotaOf(field("quota")));
    await onDone(`The quota of ${id} is set.`);
  };
  const disable = async (disabled: boolean) => {
    try {
      await disableUser(id, disabled);
      await onDone(disabled ? `${id} is disabled.` : `${id} may sign in again.`);
    } catch (error) {
      setFailure(sentence(error));
    }
  };
  return (
    <Dialog title={id} onClose={onClose}>
      <Form action="Set the quota" onSubmit={change} explain={sentence}>
        <QuotaField quota={user.quota} />
      </Form>
      {failure && <p class="problem" role="alert">{failure}</p>}
      <div class="actions">
        {account && (
          <button type="button" onClick={() => disable(!account.disabled)}>{account.disabled ? "Enable" : "Disable"}</button>
        )}
        <button type="button" class="danger-plain" onClick={onDelete}>Delete…</button>
      </div>
    </Dialog>
  );
}

function Invite({ onClose }: { onClose: () => void }) {
  const [link, setLink] = useState("");
  const make = async (field: (name: string) => string) => {
    const { token } = await invite(Number(field("uses")), Number(field("days")));
    setLink(new URL(`#invite=${token}`, home).href);
    announce("The link is made.");
  };
  return (
    <Dialog title="Invite" onClose={onClose}>
      <Form action="Make a link" onSubmit={make} explain={sentence}>
        <label for="uses">For how many people</label>
        <input id="uses" name="uses" type="number" min="1" max="1000" value="1" required autofocus />
        <label for="days">For how many days</label>
        <input id="days" name="days" type="number" min="1" max="365" value="7" required />
      </Form>
      {link && (
        <p class="share">
          <label for="invitation">Send this link. It is shown only here.</label>
          <input id="invitation" class="link" readOnly value={link} onFocus={(event) => event.currentTarget.select()} />
        </p>
      )}
    </Dialog>
  );
}
