/** What makes links: to a file or a folder, and to send files into one. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Link, request, share, type Shared } from "./api.js";
import { Dialog } from "./dialog.js";
import { type Item, nameOf } from "./files.js";
import { Icon, kindOf } from "./icons.js";
import { GB, Lasting, LinkRow, useLinks } from "./links.js";
import { moment, sentenceHere } from "./words.js";

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed, or missing, as on a page without TLS
  }
}

/** A text to copy, selected when it appears. */
function Copyable({ label, text }: { label: string; text: string }) {
  const field = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState("");
  useEffect(() => field.current?.select(), [text]);
  const copy = async () => {
    field.current?.select();
    setSaid((await copied(text)) ? "Copied." : "Copy it from here.");
  };
  return (
    <div class="copyable">
      <div class="joined">
        <input ref={field} readOnly value={text} aria-label={label} class="link" />
        <button type="button" onClick={copy}><Icon name="copy" /> Copy</button>
      </div>
      <p class="hint" role="status">{said}</p>
    </div>
  );
}

const leadsTo = (link: Link, what: Shared) =>
  "directory" in what ? link.directory === what.directory : link.action === "share" && link.file_id === what.file_id;

const sharedOf = (item: Item): Shared => (item.folder ? { directory: item.folder.directory } : { file_id: item.file._id });

export function ShareDialog({ item, onClose }: { item: Item; onClose: () => void }) {
  const id = useId();
  const [made, setMade] = useState("");
  const [said, setSaid] = useState("");
  const [failure, setFailure] = useState("");
  const { links, look } = useLinks();
  const what = sharedOf(item);
  const same = links?.filter((link) => link.action === "share" && leadsTo(link, what)) ?? [];
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const field = (name: string) => String(new FormData(event.currentTarget as HTMLFormElement).get(name) ?? "");
    const seconds = Number(field("seconds"));
    try {
      const link = await share(what, seconds, field("password"), Number(field("uses")) || null);
      setMade(link);
      setFailure("");
      const ends = moment(Date.now() + seconds * 1000);
      setSaid((await copied(link)) ? `Copied. It works until ${ends}.` : `Copy it from here. It works until ${ends}.`);
      await look();
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <Dialog title={`Share ${nameOf(item)}`} onClose={onClose}>
      <form class="form share-form" onSubmit={submit}>
        <p class="hint">
          Whoever has the link can see and download {item.folder ? "this folder and what comes into it later" : "this file"}, without an account.
        </p>
        <label for={`${id}-for`}>How long the link works</label>
        <Lasting id={`${id}-for`} />
        <label for={`${id}-password`}>Password</label>
        <input id={`${id}-password`} name="password" type="text" placeholder="None" autocomplete="off" maxLength={1024} />
        <label for={`${id}-uses`}>How many people may download</label>
        <input id={`${id}-uses`} name="uses" type="number" min={1} max={1_000_000} placeholder="Any number" />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary"><Icon name="link" /> Make a link</button>
      </form>
      {made && (
        <div class="share-made">
          <Copyable label="The link" text={made} />
          <p class="hint" role="status">{said}</p>
          {item.file && <Embedding link={made} item={item} />}
        </div>
      )}
      {same.length > 0 && (
        <section aria-labelledby={`${id}-links`} class="form">
          <h3 id={`${id}-links`}>Links to it</h3>
          <ul class="links">{same.map((link) => <LinkRow key={link.id} link={link} named={false} onChanged={look} />)}</ul>
        </section>
      )}
    </Dialog>
  );
}

/** Asks other people for files, which arrive in a folder. */
export function RequestDialog({ directory, onClose }: { directory: string; onClose: () => void }) {
  const id = useId();
  const [made, setMade] = useState("");
  const [said, setSaid] = useState("");
  const [failure, setFailure] = useState("");
  const { links, look } = useLinks();
  const same = links?.filter((link) => link.action === "request" && link.directory === directory) ?? [];
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string) => Number(data.get(name)) || null;
    const [seconds, most] = [Number(data.get("seconds")), number("most")];
    try {
      const link = await request(directory, seconds, most && Math.round(most * GB), number("uses"));
      setMade(link);
      setFailure("");
      const ends = moment(Date.now() + seconds * 1000);
      setSaid((await copied(link)) ? `Copied. It works until ${ends}.` : `Copy it from here. It works until ${ends}.`);
      await look();
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <Dialog title="Ask for files" onClose={onClose}>
      <form class="form share-form" onSubmit={submit}>
        <p class="hint breakable">
          Whoever has the link can send files into <strong dir="auto">{directory}</strong>, without an account. They see only what they sent.
        </p>
        <label for={`${id}-for`}>How long the link works</label>
        <Lasting id={`${id}-for`} />
        <label for={`${id}-most`}>The most of all files together, in GB</label>
        <input id={`${id}-most`} name="most" type="number" min={0.001} step="any" placeholder="Any size" />
        <label for={`${id}-uses`}>How many files</label>
        <input id={`${id}-uses`} name="uses" type="number" min={1} placeholder="Any number" />
        {failure && <p class="problem" role="alert">{failure}</p>}
        <button type="submit" class="primary"><Icon name="link" /> Make a link</button>
      </form>
      {made && (
        <div class="share-made">
          <Copyable label="The link" text={made} />
          <p class="hint" role="status">{said}</p>
        </div>
      )}
      {same.length > 0 && (
        <section aria-labelledby={`${id}-links`} class="form">
          <h3 id={`${id}-links`}>Links to it</h3>
          <ul class="links">{same.map((link) => <LinkRow key={link.id} link={link} named={false} onChanged={look} />)}</ul>
        </section>
      )}
    </Dialog>
  );
}

/** What shows the file on the page of another site. */
function Embedding({ link, item }: { link: string; item: Item }) {
  const kind = item.file ? kindOf(item.file.mime_type) : "file";
  if (kind === "file" || !item.file) return null;
  const address = `${link}/files/${item.file._id}`;
  const text = kind === "image" ? `<img src="${address}" alt="">` : `<${kind} controls src="${address}"></${kind}>`;
  return (
    <details>
      <summary>Show it on another page</summary>
      <Copyable label="HTML for another page" text={text} />
    </details>
  );
}
