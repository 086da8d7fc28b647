/** The links that the user made: listed, changed and revoked. */

import { useCallback, useEffect, useId, useState } from "preact/hooks";
import { changeLink, getFile, type Link, listLinks, type Request, revokeLink, type Share } from "./api.js";
import { Confirm } from "./dialog.js";
import { folderHref } from "./folders.js";
import { Icon } from "./icons.js";
import { announce } from "./live.js";
import { count } from "./uploads.js";
import { moment, sentenceHere, size } from "./words.js";

const DAY = 86_400;
const DURATIONS = [[3600, "1 hour"], [DAY, "1 day"], [7 * DAY, "7 days"], [30 * DAY, "30 days"], [365 * DAY, "1 year"]] as const;

/** Bytes in a gigabyte. */
export const GB = 1e9;

/** The links of the user; null until they are known. */
export function useLinks(): { links: Link[] | null; failure: string; look: () => Promise<void> } {
  const [links, setLinks] = useState<Link[] | null>(null);
  const [failure, setFailure] = useState("");
  const look = useCallback(async () => {
    try {
      setLinks(await listLinks());
      setFailure("");
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  }, []);
  useEffect(() => void look(), [look]);
  return { links, failure, look };
}

/** How long a link works. */
export function Lasting({ id }: { id: string }) {
  return (
    <select id={id} name="seconds">
      {DURATIONS.map(([value, label]) => <option key={value} value={value} selected={value === 7 * DAY}>{label}</option>)}
    </select>
  );
}

/** All links that the user made. */
export function Links() {
  const { links, failure, look } = useLinks();
  return (
    <section class="library" aria-labelledby="library">
      <div class="library-head"><h2 id="library" tabIndex={-1}>Links</h2></div>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {links?.length === 0 && (
        <div class="empty">
          <Icon name="link" />
          <p>No links yet. Select a file or a folder to share it, or ask for files in a folder.</p>
        </div>
      )}
      {links && links.length > 0 && (
        <ul class="panel links" aria-label="Links">{links.map((link) => <LinkRow key={link.id} link={link} named onChanged={look} />)}</ul>
      )}
    </section>
  );
}

/** The name of what a link leads to. */
function useTarget(link: Link): string {
  const file_id = link.action === "share" ? link.file_id : null;
  const [name, setName] = useState(link.directory ?? "…");
  useEffect(() => {
    if (file_id) getFile(file_id).then((file) => setName(file.name), () => setName("A deleted file"));
  }, [file_id]);
  return name;
}

export function LinkRow({ link, named, onChanged }: { link: Link; named: boolean; onChanged: () => Promise<void> }) {
  const [asking, setAsking] = useState(false);
  const [editing, setEditing] = useState(false);
  const over = Date.parse(link.expires_at) < Date.now();
  const facts = [
    over ? `ended ${moment(link.expires_at)}` : `until ${moment(link.expires_at)}`,
    ...(link.action === "share" ? factsOfShare(link) : factsOfRequest(link)),
    named && link.minter !== link.user_id && `made by ${link.minter}`,
  ].filter(Boolean).join(" · ");
  const revoke = async () => {
    await revokeLink(link.id);
    announce("The link is revoked.");
    await onChanged();
  };
  return (
    <li class={over ? "over" : ""}>
      <div class="link-facts">
        {named && <Target link={link} />}
        <p class="hint">{facts}</p>
      </div>
      <button type="button" class="small" aria-expanded={editing} onClick={() => setEditing(!editing)}>Change</button>
      <button type="button" class="small danger-plain" onClick={() => setAsking(true)}>Revoke</button>
      {editing && <Change link={link} onDone={async () => (setEditing(false), onChanged())} />}
      {asking && (
        <Confirm
          title="Revoke this link?"
          text="It stops working at once, for everybody who has it."
          action="Revoke"
          onConfirm={revoke}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}

const factsOfShare = ({ password, uses, used }: Share) => [
  password && "with a password",
  uses === null ? `${used} ${used === 1 ? "download" : "downloads"}` : `${used} of ${uses} downloads`,
];

const factsOfRequest = ({ uses, used, taken, max_size, senders }: Request) => [
  uses === null ? count(used) : `${used} of ${count(uses)}`,
  max_size === null ? size(taken) : `${size(taken)} of ${size(max_size)}`,
  `from ${senders} ${senders === 1 ? "person" : "people"}`,
];

function Target({ link }: { link: Link }) {
  const name = useTarget(link);
  const file = link.action === "share" ? link.file_id : null;
  return (
    <p>
      {link.action === "request" && "Asks for files into "}
      <a class="link-target breakable" dir="auto" href={file ? `#${file}` : folderHref(link.directory ?? "")}>
        <Icon name={file ? "file" : "folder"} /> {name}
      </a>
    </p>
  );
}

/** Another time, number or password. The address stays. */
function Change({ link, onDone }: { link: Link; onDone: () => Promise<void> }) {
  const id = useId();
  const [failure, setFailure] = useState("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const [seconds, uses, password] = ["seconds", "uses", "password"].map((name) => String(data.get(name) ?? ""));
    const most = Number(data.get("most")) ? Math.round(Number(data.get("most")) * GB) : null;
    const change = {
      ...(seconds ? { expires_in: Number(seconds) } : {}),
      ...(Number(uses) !== (link.uses ?? 0) ? { uses: Number(uses) || null } : {}),
      ...(password ? { password } : data.has("without") ? { password: null } : {}),
      ...(link.action === "request" && most !== link.max_size ? { max_size: most } : {}),
    };
    try {
      if (Object.keys(change).length > 0) await changeLink(link.id, change);
      announce("The link is changed.");
      await onDone();
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <form class="form link-change" onSubmit={submit}>
      <label for={`${id}-for`}>It works</label>
      <select id={`${id}-for`} name="seconds">
        <option value="">as long as now</option>
        {DURATIONS.map(([value, label]) => <option key={value} value={value}>{`for ${label} from now`}</option>)}
      </select>
      <label for={`${id}-uses`}>{link.action === "share" ? "How many people may download" : "How many files"}</label>
      <input id={`${id}-uses`} name="uses" type="number" min={1} placeholder="Any number" defaultValue={link.uses === null ? "" : String(link.uses)} />
      {link.action === "request" ? (
        <>
          <label for={`${id}-most`}>The most of all files together, in GB</label>
          <input
            id={`${id}-most`}
            name="most"
            type="number"
            min={0.001}
            step="any"
            placeholder="Any size"
            defaultValue={link.max_size === null ? "" : String(link.max_size / GB)}
          />
        </>
      ) : (
        <>
          <label for={`${id}-password`}>{link.password ? "Another password" : "Password"}</label>
          <input id={`${id}-password`} name="password" type="text" placeholder={link.password ? "The same" : "None"} autocomplete="off" />
          {link.password && <label class="check"><input type="checkbox" name="without" /> No password any more</label>}
        </>
      )}
      {failure && <p class="problem" role="alert">{failure}</p>}
      <button type="submit" class="small primary">Save</button>
    </form>
  );
}
