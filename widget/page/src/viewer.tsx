/** One file: view, rename, tag, share, download, delete. */

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { changeFile, deleteFile, downloadUrl, fileUrl, getFile, type Manifest, mintLink, pictureUrl } from "./api.js";
import { Confirm, Dialog } from "./dialog.js";
import { Growing, useGrowing } from "./growing.js";
import { Icon, kindOf } from "./icons.js";
import { announce } from "./live.js";
import { tell } from "./news.js";
import { Picture, suited, VIEWER } from "./picture.js";
import { duration, moment, sentenceHere, sentenceOfLink, size } from "./words.js";

const DURATIONS = [[3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"], [2_592_000, "30 days"]] as const;

interface ViewerProps {
  id: string;
  onClose: () => void;
  onDeleted: () => void;
}

export function Viewer({ id, onClose, onDeleted }: ViewerProps) {
  const [file, setFile] = useState<Manifest | null>(null);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    getFile(id).then(setFile, (error: unknown) => setFailure(sentenceHere(error)));
  }, [id]);
  const changed = (after: Manifest) => {
    setFile(after);
    tell("files");
  };
  return (
    <Dialog title={file?.name ?? "File"} onClose={onClose} wide>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {file?.state === "uploading" && <Arriving file={file} onChanged={setFile} />}
      {file && file.state !== "uploading" && (
        <>
          <Media file={file} />
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
  return (
    <div class="media none">
      <Icon name="file" />
      <p>{broken ? "This browser cannot show the file. Download it instead." : "There is no preview for this type. Download the file to open it."}</p>
    </div>
  );
}

function Actions({ file, onDeleted }: { file: Manifest; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const remove = async () => {
    await deleteFile(file._id);
    announce(`${file.name} was deleted.`);
    tell("files");
    onDeleted();
  };
  return (
    <div class="actions">
      <a class="button primary" href={downloadUrl(file._id)} download><Icon name="download" /> Download</a>
      <Share file={file} />
      <button type="button" class="danger-plain" onClick={() => setAsking(true)}><Icon name="trash" /> Delete</button>
      {asking && (
        <Confirm
          title="Delete this file?"
          text={`${file.name} (${size(file.size ?? 0)}) will be deleted permanently, and links to it will stop working.`}
          action="Delete"
          onConfirm={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}

/** A link that works without signing in, for a limited time. */
function Share({ file }: { file: Manifest }) {
  const id = useId();
  const [seconds, setSeconds] = useState<number>(DURATIONS[1][0]);
  const [link, setLink] = useState("");
  const [said, setSaid] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const share = async () => {
    setLink("");
    try {
      const made = await mintLink(file._id, seconds);
      setLink(made);
      const ends = moment(Date.now() + seconds * 1000);
      setSaid((await copied(made)) ? `Copied. It works until ${ends}.` : `Copy it from here. It works until ${ends}.`);
    } catch (error) {
      setSaid(sentenceOfLink(error));
    }
  };
  useEffect(() => field.current?.select(), [link]);
  return (
    <div class="share">
      <div class="joined">
        <button type="button" onClick={share}><Icon name="link" /> Copy link</button>
        <label class="unseen" for={`${id}-for`}>How long the link works</label>
        <select id={`${id}-for`} value={seconds} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
          {DURATIONS.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
        </select>
      </div>
      {link && <input ref={field} readOnly value={link} aria-label="The link" class="link" />}
      <p class="hint" role="status">{said}</p>
    </div>
  );
}

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed, or missing, as on a page without TLS
  }
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
      <div><dt>Uploaded</dt><dd>{moment(file.created_at)}</dd></div>
      {file.directory && <div><dt>Directory</dt><dd class="breakable">{file.directory}</dd></div>}
      {file.sha256 && <div><dt>SHA-256</dt><dd class="breakable"><code>{file.sha256}</code></dd></div>}
    </dl>
  );
}
