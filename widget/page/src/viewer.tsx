/** One file: view, rename, tag, share, download, delete. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { remove as removeItems } from "./actions.js";
import { changeFile, downloadUrl, fileUrl, getFile, type Manifest, pictureUrl } from "./api.js";
import { Confirm, Dialog } from "./dialog.js";
import { folderHref } from "./folders.js";
import { Growing, useGrowing } from "./growing.js";
import { Icon, kindOf } from "./icons.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { PdfPreview } from "./pdf.js";
import { Picture, suited, VIEWER } from "./picture.js";
import { isText, TextPreview } from "./preview.js";
import { ShareDialog } from "./share.js";
import { duration, moment, sentenceHere, size } from "./words.js";

interface ViewerProps {
  id: string;
  /** The files of the list behind the viewer, in its order. */
  list: string[];
  onOpen: (id: string) => void;
  onClose: () => void;
  onDeleted: () => void;
}

/** The arrow keys lead to the files before and after this one, where they do nothing else. */
function useArrows(previous: string | undefined, next: string | undefined, onOpen: (id: string) => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const step = event.key === "ArrowLeft" ? previous : event.key === "ArrowRight" ? next : undefined;
      const used = event.target instanceof Element && event.target.closest("input, textarea, select, video, audio, pre");
      const dialogs = document.querySelectorAll("dialog").length;
      if (step === undefined || used || dialogs > 1 || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      onOpen(step);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [previous, next]);
}

export function Viewer({ id, list, onOpen, onClose, onDeleted }: ViewerProps) {
  const at = list.indexOf(id);
  const [previous, next] = at < 0 ? [] : [list[at - 1], list[at + 1]];
  useArrows(previous, next, onOpen);
  const [file, setFile] = useState<Manifest | null>(null);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let wanted = true;
    setFailure("");
    getFile(id).then(
      (found) => wanted && setFile(found),
      (error: unknown) => wanted && (setFile(null), setFailure(sentenceHere(error))),
    );
    return () => {
      wanted = false;
    };
  }, [id]);
  const changed = (after: Manifest) => {
    setFile(after);
    tell("files");
  };
  return (
    <Dialog title={file?.name ?? "File"} onClose={onClose} wide before={<Steps {...{ previous, next, onOpen }} />}>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {file?.state === "uploading" && <Arriving file={file} onChanged={setFile} />}
      {file && file.state !== "uploading" && (
        <>
          <Media key={file._id} file={file} />
          <Actions file={file} onDeleted={onDeleted} />
          <div class="details">
            <Name key={file.name} file={file} onChanged={changed} />
            <Tags file={file} onChanged={changed} />
            <Facts file={file} />
          </div>
        </>
      )}
    </Dialog>
  );
}

interface StepsProps {
  previous: string | undefined;
  next: string | undefined;
  onOpen: (id: string) => void;
}

function Steps({ previous, next, onOpen }: StepsProps) {
  if (!previous && !next) return null;
  return (
    <div class="steps">
      <button type="button" class="plain" aria-label="Previous file" title="Previous ( ← )" disabled={!previous} onClick={() => previous && onOpen(previous)}>
        <Icon name="previous" />
      </button>
      <button type="button" class="plain" aria-label="Next file" title="Next ( → )" disabled={!next} onClick={() => next && onOpen(next)}>
        <Icon name="next" />
      </button>
    </div>
  );
}

/** When it is whole, the dialog shows it as a file. */
function Arriving({ file, onChanged }: ChangeProps) {
  useGrowing(file, onChanged);
  return <Growing file={file} />;
}

function Media({ file }: { file: Manifest }) {
  const [broken, setBroken] = useState(false);
  const url = fileUrl(file._id);
  const fail = () => setBroken(true);
  const kind = broken ? "file" : kindOf(file.mime_type);
  const poster = file.pictures?.length ? pictureUrl(file._id, suited(file, VIEWER)) : undefined;
  if (kind === "video") {
    return <video class="media" controls preload="metadata" poster={poster} src={url} onError={fail} aria-label={file.name} />;
  }
  if (kind === "audio") return <audio class="media" controls preload="metadata" src={url} onError={fail} aria-label={file.name} />;
  if (kind === "image" && file.mime_type !== "image/svg+xml") {
    return <Picture class="media" file={file} quality={VIEWER} alt={file.name} onNone={fail} />;
  }
  if (!broken && file.mime_type === "application/pdf") return <PdfPreview file={file} onNone={fail} />;
  if (!broken && isText(file)) return <TextPreview file={file} onNone={fail} />;
  return (
    <div class="media none">
      <Icon name="file" />
      <p>{broken ? "This browser cannot show the file. Download it instead." : "There is no preview for this type. Download the file to open it."}</p>
    </div>
  );
}

function Actions({ file, onDeleted }: { file: Manifest; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const [sharing, setSharing] = useState(false);
  const remove = async () => {
    await removeItems([{ key: file._id, file }]);
    onDeleted();
  };
  return (
    <div class="actions">
      <a class="button primary" href={downloadUrl(file._id)} download><Icon name="download" /> Download</a>
      <button type="button" onClick={() => setSharing(true)}><Icon name="share" /> Share</button>
      <button type="button" class="danger-plain" onClick={() => setAsking(true)}><Icon name="trash" /> Delete</button>
      {sharing && <ShareDialog item={{ key: file._id, file }} onClose={() => setSharing(false)} />}
      {asking && (
        <Confirm
          title="Delete this file?"
          text={`${file.name} (${size(file.size ?? 0)}) will be deleted, and links to it will stop working. You can undo this, as long as it is in the trash.`}
          action="Delete"
          onConfirm={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}

interface ChangeProps {
  file: Manifest;
  onChanged: (file: Manifest) => void;
}

function Name({ file, onChanged }: ChangeProps) {
  const id = useId();
  const [name, setName] = useState(file.name);
  const [failure, setFailure] = useState("");
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      onChanged(await changeFile(file._id, { name }));
      announce(`Renamed to ${name}.`);
    } catch (error) {
      setFailure(sentenceHere(error));
    }
  };
  return (
    <form onSubmit={save}>
      <label for={id}>Name</label>
      <div class="joined">
        <input id={id} value={name} required dir="auto" onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" disabled={name === file.name}>Rename</button>
      </div>
      {failure && <p class="problem" role="alert">{failure}</p>}
    </form>
  );
}

function Tags({ file, onChanged }: ChangeProps) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState("");
  const change = async (tags: string[]): Promise<boolean> => {
    let done = false;
    try {
      onChanged(await changeFile(file._id, { tags }));
      announce(tags.length === 0 ? "No tags." : `Tags: ${tags.join(", ")}.`);
      setFailure("");
      done = true;
    } catch (error) {
      setFailure(sentenceHere(error));
    }
    field.current?.focus();
    return done;
  };
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const tag = field.current?.value.trim() ?? "";
    if (tag === "" || file.tags.includes(tag)) return;
    // A refused tag stays in the field, so that it can be corrected.
    if ((await change([...file.tags, tag])) && field.current) field.current.value = "";
  };
  return (
    <form onSubmit={add}>
      <label for={id}>Tags</label>
      {file.tags.length > 0 && (
        <ul class="tags" aria-label="Tags of this file">
          {file.tags.map((tag) => (
            <li key={tag} class="tag">
              {tag}
              <button
                type="button"
                class="plain"
                aria-label={`Remove the tag ${tag}`}
                onClick={() => change(file.tags.filter((other) => other !== tag))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="joined">
        <input id={id} ref={field} maxLength={128} placeholder="Add a tag" />
        <button type="submit">Add</button>
      </div>
      {failure && <p class="problem" role="alert">{failure}</p>}
    </form>
  );
}

const KEPT_IN = { mongo: "MongoDB", file: "the server's directory", s3: "S3" };

function Facts({ file }: { file: Manifest }) {
  return (
    <dl class="facts">
      <div><dt>Size</dt><dd>{size(file.size ?? 0)}</dd></div>
      <div><dt>Type</dt><dd>{file.mime_type}</dd></div>
      {file.kind && <div><dt>Kind</dt><dd>{file.kind}</dd></div>}
      {file.media?.width && <div><dt>Dimensions</dt><dd>{`${file.media.width} × ${file.media.height}`}</dd></div>}
      {file.media?.duration && <div><dt>Duration</dt><dd>{duration(file.media.duration)}</dd></div>}
      {file.media?.title && <div><dt>Title</dt><dd>{file.media.title}</dd></div>}
      {file.media?.artist && <div><dt>Artist</dt><dd>{file.media.artist}</dd></div>}
      {file.blobs && <div><dt>Kept in</dt><dd>{KEPT_IN[file.blobs]}</dd></div>}
      {file.public && <div><dt>Public</dt><dd>Anyone with its address can fetch it</dd></div>}
      {file.sender && <div><dt>Sent by</dt><dd class="breakable" dir="auto">{file.sender}</dd></div>}
      <div><dt>Uploaded</dt><dd>{moment(file.created_at)}</dd></div>
      {file.directory && (
        <div><dt>Folder</dt><dd class="breakable"><a href={folderHref(file.directory)} dir="auto">{file.directory}</a></dd></div>
      )}
      {file.sha256 && <div class="whole"><dt>SHA-256</dt><dd class="breakable"><code>{file.sha256}</code></dd></div>}
    </dl>
  );
}
