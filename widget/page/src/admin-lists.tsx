/** Lists over all users: unfinished uploads, and grants in force. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Grant, listAllGrants, listAllUploads, revokeGrant } from "./admin-api.js";
import { abortUpload, type Manifest } from "./api.js";
import { Confirm } from "./dialog.js";
import { Icon } from "./icons.js";
import { announce } from "./live.js";
import { ago, moment, percent, sentence, size } from "./words.js";

interface Found<T> {
  found: T[];
  next: string | null;
}

export interface Pages<T> {
  found: T[];
  /** Whether it is known that there are none. */
  empty: boolean;
  failure: string;
  more: (() => Promise<void>) | null;
  again: () => Promise<void>;
}

/** A list that is read page after page, and again from its beginning when `changes` changes. */
export function usePages<T>(read: (cursor: string | null) => Promise<Found<T>>, changes = 0): Pages<T> {
  const [{ found, next }, set] = useState<Found<T>>({ found: [], next: null });
  const [known, setKnown] = useState(false);
  const [failure, setFailure] = useState("");
  const load = useCallback(async (cursor: string | null) => {
    try {
      const page = await read(cursor);
      set((before) => ({ found: cursor === null ? page.found : [...before.found, ...page.found], next: page.next }));
      setKnown(true);
      setFailure("");
    } catch (error) {
      setFailure(sentence(error));
    }
  }, [read]);
  useEffect(() => void load(null), [load, changes]);
  return { found, empty: known && found.length === 0, failure, more: next === null ? null : () => load(next), again: () => load(null) };
}

export function More<T>({ list, of }: { list: Pages<T>; of: string }) {
  return list.more && <button type="button" class="more" onClick={list.more}>More {of}</button>;
}

export function Uploads({ changes }: { changes: number }) {
  const list = usePages(useCallback(async () => ({ found: (await listAllUploads()).uploads, next: null }), []), changes);
  const [aborting, setAborting] = useState<Manifest | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  return (
    <section class="panel" aria-labelledby="all-uploads">
      <h3 id="all-uploads" tabIndex={-1} ref={heading}>Unfinished uploads of all</h3>
      {list.failure && <p class="problem" role="alert">{list.failure}</p>}
      {list.empty && <p class="hint">There are none.</p>}
      <ul class="rows">
        {list.found.map((upload) => (
          <li key={upload._id}>
            <div class="row-facts">
              <strong class="breakable" dir="auto">{upload.name}</strong>
              <p class="hint">
                {upload.user_id} · {upload.size === null ? size(upload.upload_size) : `${size(upload.upload_size)} of ${size(upload.size)} · ${percent(upload.upload_size, upload.size)} %`} ·{" "}
                active <time dateTime={upload.updated_at} title={moment(upload.updated_at)}>{ago(upload.updated_at)}</time>
              </p>
            </div>
            <button type="button" class="plain" aria-label={`Abort the upload of ${upload.name} of ${upload.user_id}`} onClick={() => setAborting(upload)}>
              <Icon name="trash" />
            </button>
          </li>
        ))}
      </ul>
      {aborting && (
        <Confirm
          title="Abort this upload?"
          text={`The stored part of ${aborting.name} of ${aborting.user_id} will be deleted.`}
          action="Abort"
          onConfirm={async () => {
            await abortUpload(aborting._id);
            announce(`The upload of ${aborting.name} was aborted.`);
            await list.again();
            heading.current?.focus();
          }}
          onClose={() => setAborting(null)}
        />
      )}
    </section>
  );
}

export function Grants() {
  const list = usePages(useCallback(async (cursor: string | null) => {
    const { grants, cursor: next } = await listAllGrants(cursor);
    return { found: grants, next };
  }, []));
  const [revoking, setRevoking] = useState<Grant | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  return (
    <section class="panel" aria-labelledby="all-grants">
      <h3 id="all-grants" tabIndex={-1} ref={heading}>Grants and links in force</h3>
      {list.failure && <p class="problem" role="alert">{list.failure}</p>}
      {list.empty && <p class="hint">There are none.</p>}
      <ul class="rows">
        {list.found.map((grant) => (
          <li key={grant.id}>
            <div class="row-facts">
              <strong class="breakable">{what(grant)}</strong>
              <p class="hint">
                by {grant.minter} <time dateTime={grant.created_at}>{ago(grant.created_at)}</time> · until {moment(grant.expires_at)}
                {grant.uses !== undefined && ` · used ${grant.used} of ${grant.uses} times`}
              </p>
            </div>
            <button type="button" aria-label={`Revoke: ${what(grant)}, by ${grant.minter}`} onClick={() => setRevoking(grant)}>Revoke</button>
          </li>
        ))}
      </ul>
      <More list={list} of="grants" />
      {revoking && (
        <Confirm
          title="Revoke this grant?"
          text={`${what(revoking)}: its link works no more.`}
          action="Revoke"
          onConfirm={async () => {
            await revokeGrant(revoking.id);
            announce("The grant is revoked.");
            await list.again();
            heading.current?.focus();
          }}
          onClose={() => setRevoking(null)}
        />
      )}
    </section>
  );
}

/** What a grant allows, in a few words. */
export function what({ action, user_id: user, directory, file_id: file }: Grant): string {
  if (action === "signup") return "Invitation to make an account";
  if (action === "upload") return `Upload for ${user}${directory ? ` into ${directory}` : ""}`;
  return `Download of ${file ? `file ${file}` : directory ?? "files"} of ${user}`;
}
