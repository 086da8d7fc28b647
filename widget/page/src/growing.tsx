/** An unfinished upload, seen while it arrives: a player for what is stored, and how much that is. */

import { useEffect, useState } from "preact/hooks";
import { fileUrl, getFile, type Manifest } from "./api.js";
import { Icon, kindOf } from "./icons.js";
import { ago, moment, percent, size } from "./words.js";

/** Milliseconds between two looks at what is stored. */
const LOOK = 2_000;

/** The file as it is now: asked again until it is whole. */
export function useGrowing(file: Manifest, changed: (file: Manifest) => void): void {
  useEffect(() => {
    if (file.state !== "uploading") return;
    const timer = setTimeout(() => {
      // A lost answer is asked for again; the file stays as it was.
      getFile(file._id).then(changed, () => changed({ ...file }));
    }, LOOK);
    return () => clearTimeout(timer);
  }, [file, changed]);
}

export function Growing({ file }: { file: Manifest }) {
  const { size: all, upload_size: done } = file;
  return (
    <>
      <Player key={`${file._id} ${done > 0}`} file={file} />
      <div class="growing">
        <progress aria-label={`Upload progress of ${file.name}`} {...(all === null ? {} : { max: Math.max(1, all), value: done })} />
        <p class="hint">
          {all === null ? `${size(done)} so far` : `${size(done)} of ${size(all)} · ${percent(done, all)} %`} · last active {ago(file.updated_at)}
          {file.expires_at && <> · kept until {moment(file.expires_at)}</>}
        </p>
        <p class="hint">This upload is not finished. Choose the same file again, here or on another device, and it resumes.</p>
      </div>
    </>
  );
}

function Player({ file }: { file: Manifest }) {
  const [tries, setTries] = useState(0);
  const [broken, setBroken] = useState(false);
  const kind = kindOf(file.mime_type);
  // Where the browser does not say that a player asks (plain http), the address does.
  const url = `${fileUrl(file._id)}?play=1`;
  const fail = () => setBroken(true);
  const again = () => {
    setTries(tries + 1);
    setBroken(false);
  };
  const shows = file.upload_size > 0 && !broken;
  if (shows && kind === "video") return <video key={tries} class="media" controls preload="metadata" src={url} onError={fail} aria-label={file.name} />;
  if (shows && kind === "audio") return <audio key={tries} class="media" controls preload="metadata" src={url} onError={fail} aria-label={file.name} />;
  if (shows && kind === "image" && file.mime_type !== "image/svg+xml") {
    return <img key={tries} class="media" src={url} alt={file.name} onError={fail} />;
  }
  return (
    <div class="media none">
      <Icon name={kind} />
      <p>{broken ? "What is stored so far cannot be shown. Some formats need the whole file." : "There is nothing to show until the upload is finished."}</p>
      {broken && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}
