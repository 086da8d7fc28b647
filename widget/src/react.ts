/** A hook for React: `import { useUpload } from "lading/react"`. React is the page's own. */

import { useEffect, useState } from "react";

import type { UploadError } from "./protocol/errors.js";
import type { Manifest, Progress } from "./upload/events.js";
import type { UploadOptions } from "./upload/options.js";
import type { UploadState } from "./upload/state.js";
import { Upload } from "./upload/upload.js";

/** An upload as a component shows it. */
export interface Uploading {
  /** For `pause`, `resume`, `cancel`, and `start` after a failure; null until a file is chosen. */
  readonly upload: Upload | null;
  readonly state: UploadState;
  readonly progress: Progress | null;
  readonly error: UploadError | null;
  /** The finished file. */
  readonly done: Manifest | null;
}

const NOTHING: Uploading = { upload: null, state: "idle", progress: null, error: null, done: null };

/**
 * The upload of a file, which begins when one is given. With another file it begins again. When the
 * component goes away it pauses: what is stored stays, and the same file resumes it. The options count
 * when the file is given.
 */
export function useUpload(file: File | null, options?: UploadOptions): Uploading {
  const [shown, show] = useState(NOTHING);

  useEffect(() => {
    if (file === null) return show(NOTHING);
    const upload = new Upload(file, options);
    let here = true;
    const set = (change: Partial<Uploading>): void => {
      if (here) show((before) => ({ ...before, ...change }));
    };
    upload.on("state", (state) => set(state === "connecting" ? { state, error: null } : { state }));
    upload.on("progress", (progress) => set({ progress }));
    upload.on("error", (error) => set({ error }));
    show({ ...NOTHING, upload });
    upload.start().then((done) => set({ done }), () => undefined);
    return () => {
      here = false;
      upload.pause();
    };
  }, [file]);

  return shown;
}
