import { useEffect, useState } from "react";
import { Upload, type Progress, type UploadError, type UploadOptions } from "lading";

/** The upload of a file, and how far it is. What is stored stays when the component goes away. */
export function useUpload(file: File | null, options?: UploadOptions) {
  const [upload, setUpload] = useState<Upload | null>(null);
  const [state, setState] = useState<Upload["state"]>("idle");
  const [progress, setProgress] = useState<Progress | null>(null);
  const [error, setError] = useState<UploadError | null>(null);

  useEffect(() => {
    if (file === null) return;
    const next = new Upload(file, options);
    next.on("state", setState);
    next.on("progress", setProgress);
    next.on("error", setError);
    setUpload(next);
    void next.start();
    return () => next.pause();
    // The options count when the file is chosen.
  }, [file]);

  return { upload, state, progress, error };
}

export function Uploader() {
  const [file, setFile] = useState<File | null>(null);
  const { upload, state, progress, error } = useUpload(file);
  return (
    <div>
      <input type="file" onChange={(event) => setFile(event.target.files?.[0] ?? null)} />
      {progress && <progress value={progress.stored} max={progress.size ?? undefined} />}
      {state === "uploading" && <button onClick={() => upload?.pause()}>Pause</button>}
      {state === "paused" && <button onClick={() => upload?.resume()}>Resume</button>}
      <p role="status">{error?.message ?? state}</p>
    </div>
  );
}
