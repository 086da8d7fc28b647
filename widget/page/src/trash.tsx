/** The trash: what was deleted of late, to be put back or deleted for good. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { restore } from "./actions.js";
import { deleteForGood, emptyTrash, listTrash, type Manifest } from "./api.js";
import { Confirm } from "./dialog.js";
import { Icon, kindOf } from "./icons.js";
import { tell, useNews } from "./news.js";
import { notify } from "./notice.js";
import { count } from "./uploads.js";
import { ago, moment, sentenceHere, size } from "./words.js";

interface Trashed {
  files: Manifest[];
  cursor: string | null;
}

export function Trash() {
  const [trash, setTrash] = useState<Trashed | null>(null);
  const [failure, setFailure] = useState("");
  const [asking, setAsking] = useState<Manifest | "all" | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const look = useCallback(async (cursor: string | null = null) => {
    try {
      const found = await listTrash(cursor);
      setTrash((before) => (cursor && before ? { ...found, files: [...before.files, ...found.files] } : found));
      setFailure("");
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  }, []);
  useEffect(() => void look(), [look]);
  useNews("files", useCallback(() => void look(), [look]));
  const back = async (file: Manifest) => {
    try {
      await restore([file._id]);
      notify({ text: `${file.name} is back in ${file.directory || "the library"}.` });
    } catch (error) {
      setFailure(sentenceHere(error));
    }
    heading.current?.focus();
    await look();
  };
  const remove = async (what: Manifest | "all") => {
    await (what === "all" ? emptyTrash() : deleteForGood(what._id));
    tell("files");
    heading.current?.focus();
    await look();
  };
  return (
    <section class="library" aria-labelledby="library">
      <div class="library-head">
        <h2 id="library" tabIndex={-1} ref={heading}>Trash</h2>
        <p class="hint" role="status">{trash && `${count(trash.files.length)}${trash.cursor ? ", and more" : ""}`}</p>
        {trash && trash.files.length > 0 && (
          <button type="button" class="small danger-plain" onClick={() => setAsking("all")}><Icon name="trash" /> Empty the trash</button>
        )}
      </div>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {trash?.files.length === 0 && (
        <div class="empty">
          <Icon name="trash" />
          <p>The trash is empty.</p>
        </div>
      )}
      {trash && trash.files.length > 0 && (
        <>
          <p class="hint">What is in the trash counts in your usage, until it is deleted for good.</p>
          <ul class="panel links" aria-label="Trash">
            {trash.files.map((file) => (
              <li key={file._id}>
                <div class="link-facts">
                  <p class="link-target breakable" dir="auto"><Icon name={kindOf(file.mime_type)} /> {file.name}</p>
                  <p class="hint breakable">
                    {size(file.size ?? 0)}{file.directory && <> · from {file.directory}</>}
                    {file.trashed_at && <> · deleted {ago(file.trashed_at)}</>}
                    {file.expires_at && <> · kept until {moment(file.expires_at)}</>}
                  </p>
                </div>
                <button type="button" class="small" aria-label={`Restore ${file.name}`} onClick={() => back(file)}><Icon name="restore" /> Restore</button>
                <button type="button" class="small danger-plain" aria-label={`Delete ${file.name} for good`} onClick={() => setAsking(file)}>Delete</button>
              </li>
            ))}
          </ul>
          {trash.cursor && <button type="button" class="more" onClick={() => look(trash.cursor)}>Show more</button>}
        </>
      )}
      {asking && (
        <Confirm
          title={asking === "all" ? "Empty the trash?" : "Delete this file for good?"}
          text={asking === "all" ? "All files in the trash will be deleted permanently." : `${asking.name} (${size(asking.size ?? 0)}) will be deleted permanently.`}
          action="Delete for good"
          onConfirm={() => remove(asking)}
          onClose={() => setAsking(null)}
        />
      )}
    </section>
  );
}
