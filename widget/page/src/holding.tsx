/** After a refusal for the quota: the unfinished uploads that hold room, each with a button that frees it. */

import { useEffect, useState } from "preact/hooks";
import type { UploadError } from "../../src/protocol/errors.js";
import { abortUpload, listUploads } from "./api.js";
import { Confirm } from "./dialog.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { uploadIds } from "./uploads.js";
import { ago, size } from "./words.js";

const SHOWN = 5;

interface Held {
  id: string;
  name: string;
  reserved: number;
  updated_at: string;
}

/** The largest ones, from the refusal, or from the list where the server did not name them. */
async function heldBy({ facts }: UploadError): Promise<Held[]> {
  const named = facts["unfinished"];
  const all = Array.isArray(named)
    ? (named as Held[])
    : (await listUploads()).map(({ _id, name, size: all, upload_size, updated_at }) => ({ id: _id, name, reserved: all ?? upload_size, updated_at }));
  // Those of this tab are not forgotten ones.
  const here = new Set(uploadIds());
  return all.filter(({ id }) => !here.has(id)).sort((a, b) => b.reserved - a.reserved).slice(0, SHOWN);
}

export function Holding({ error }: { error: UploadError }) {
  const [held, setHeld] = useState<Held[]>([]);
  const [cancelling, setCancelling] = useState<Held | null>(null);
  useEffect(() => void heldBy(error).then(setHeld, () => undefined), [error]);
  const cancel = async ({ id, name }: Held) => {
    await abortUpload(id);
    announce(`The upload of ${name} was cancelled. Try again now.`);
    setHeld((before) => before.filter((each) => each.id !== id));
    tell("files");
  };
  if (held.length === 0 && !cancelling) return null;
  return (
    <div class="holding">
      <p>Unfinished uploads hold room. Cancel those that you no longer need, then try again.</p>
      <ul aria-label="Unfinished uploads that hold room">
        {held.map((each) => (
          <li key={each.id}>
            <span><span class="breakable" dir="auto">{each.name}</span> · holds {size(each.reserved)} · last active {ago(each.updated_at)}</span>
            <button type="button" aria-label={`Cancel the upload of ${each.name}`} onClick={() => setCancelling(each)}>Cancel</button>
          </li>
        ))}
      </ul>
      {cancelling && (
        <Confirm
          title="Cancel this upload?"
          text={`The stored part of ${cancelling.name} will be deleted. This frees ${size(cancelling.reserved)}.`}
          action="Cancel the upload"
          onConfirm={() => cancel(cancelling)}
          onClose={() => setCancelling(null)}
        />
      )}
    </div>
  );
}
