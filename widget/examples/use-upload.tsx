import { useState } from "react";
import { useUpload } from "lading/react";

export function Uploader() {
  const [file, setFile] = useState<File | null>(null);
  const { upload, state, progress, error, done } = useUpload(file);
  return (
    <div>
      <label>
        File <input type="file" onChange={(event) => setFile(event.target.files?.[0] ?? null)} />
      </label>
      {progress && <progress aria-label="Upload" value={progress.stored} max={progress.size ?? undefined} />}
      {state === "uploading" && <button onClick={() => upload?.pause()}>Pause</button>}
      {state === "paused" && <button onClick={() => upload?.resume()}>Resume</button>}
      <p role="status">{error?.message ?? (done ? `Stored at ${done.url}` : state)}</p>
    </div>
  );
}
