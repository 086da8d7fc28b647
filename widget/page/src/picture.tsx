/** Images that the server makes of files: previews in grids, and the viewer's. */

import { useEffect, useState } from "preact/hooks";
import { fileUrl, type Manifest, pictureUrl } from "./api.js";
import { kindOf } from "./icons.js";

/** Where the server has no image, an original of up to this size serves as its own preview. */
const SMALL = 2 * 1024 * 1024;
/** Milliseconds before the page asks again for an image that is being made, and how often it does. */
const [PAUSE, TRIES] = [2000, 60];

export const GRID = 4;
export const VIEWER = 6;

interface PictureProps {
  file: Manifest;
  quality: number;
  alt: string;
  class?: string;
  lazy?: boolean;
  /** Called when there is no image, and none will come soon. */
  onNone: () => void;
}

/** Whether the server may have an image of a file. */
export function mayHavePicture(file: Manifest): boolean {
  if (file.mime_type === "image/svg+xml" || kindOf(file.mime_type) === "file") return false;
  // Of a sound without a cover the facts are known, and there is no image.
  return !file.media || (file.pictures?.length ?? 0) > 0;
}

/** The quality to ask for: of a file whose images exist, one of these. */
export function suited(file: Manifest, quality: number): number {
  const there = (file.pictures ?? []).filter(({ crop }) => crop === null).map((each) => each.quality).sort((a, b) => a - b);
  return there.find((each) => each >= quality) ?? there.at(-1) ?? quality;
}

/** Whether the server says that an image will be there: an `<img>` is not told why it has none. */
async function isBeingMade(url: string): Promise<boolean> {
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  return answer?.status === 202 || answer?.status === 200;
}

/** An image of a file, over its blurred placeholder until it is there. */
export function Picture({ file, quality, alt, lazy = false, onNone, ...more }: PictureProps) {
  const [tries, setTries] = useState(0);
  const [waits, setWaits] = useState(false);
  const [original, setOriginal] = useState(false);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!waits) return;
    const timer = setTimeout(() => (setTries(tries + 1), setWaits(false)), PAUSE);
    return () => clearTimeout(timer);
  }, [waits, tries]);
  const fail = () => {
    if (original) onNone();
    else if (kindOf(file.mime_type) === "image" && (file.size ?? 0) <= SMALL) setOriginal(true);
    else if (tries === TRIES) onNone();
    else void isBeingMade(pictureUrl(file._id, suited(file, quality))).then((being) => (being ? setWaits(true) : onNone()));
  };
  const blurred = file.media?.placeholder;
  return (
    <span class={`picture ${more.class ?? ""}`}>
      {blurred && !shown && <img class="placeholder" src={blurred} alt="" aria-hidden="true" />}
      {!waits && (
        <img
          // A new element asks again.
          key={tries}
          src={original ? fileUrl(file._id) : pictureUrl(file._id, suited(file, quality))}
          alt={alt}
          loading={lazy ? "lazy" : "eager"}
          decoding="async"
          onLoad={() => setShown(true)}
          onError={fail}
        />
      )}
    </span>
  );
}
