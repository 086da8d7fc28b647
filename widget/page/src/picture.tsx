/** Images that the server makes of files: previews in grids, and the viewer's. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Turns } from "../../src/upload/turns.js";
import { fileUrl, type Manifest, pictureUrl } from "./api.js";
import { kindOf } from "./icons.js";

/** Where the server has no image, an original of up to this size serves as its own preview. */
const SMALL = 2 * 1024 * 1024;
/** Milliseconds before the page asks again for an image that is being made, and how often it does. */
const [PAUSE, TRIES] = [2000, 60];

/**
 * The server answers late while it makes an image, and over HTTP/1.1 a browser has six connections to it for all
 * tabs. So previews that are not made yet are asked for a few at a time: the other connections are for the
 * stream of events, and for what somebody does meanwhile.
 */
const turns = new Turns(3);
/** Milliseconds that a preview is there before it takes a turn: those that somebody scrolls past do not. */
const STILL = 500;

export const LIST = 2;
export const GRID = 4;
export const VIEWER = 6;

interface PictureProps {
  file: Manifest;
  quality: number;
  alt: string;
  class?: string;
  /** One of many: it waits for its turn, and for what is more urgent. */
  preview?: boolean;
  /** Called when there is no image, and none will come soon. */
  onNone: () => void;
}

/** What an image is shown from: nothing while the server is asked for it, and before it is asked again. */
type Source = "asked" | "later" | "picture" | "original";

/** Whether the server may have an image of a file. */
export function mayHavePicture(file: Manifest): boolean {
  if (file.mime_type === "image/svg+xml" || kindOf(file.mime_type) === "file") return false;
  // Of a sound without a cover the facts are known, and there is no image.
  return !file.media || (file.pictures?.length ?? 0) > 0;
}

/** The qualities that exist. */
function made(file: Manifest): number[] {
  return (file.pictures ?? []).filter(({ crop }) => crop === null).map((each) => each.quality).sort((a, b) => a - b);
}

/** The quality to ask for: of a file whose images exist, one of these. */
export function suited(file: Manifest, quality: number): number {
  const there = made(file);
  return there.find((each) => each >= quality) ?? there.at(-1) ?? quality;
}

/** Whether somebody may see the page: its tab is in front. */
function useVisible(): boolean {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return visible;
}

/** Whether a turn has come, which is held as long as it is wanted, and the tab is in front. */
function useTurn(wants: boolean): boolean {
  const [has, setHas] = useState(false);
  const wanted = useVisible() && wants;
  useEffect(() => {
    if (!wanted) return;
    let leave = () => {};
    const timer = setTimeout(() => (leave = turns.take(() => setHas(true))), STILL);
    return () => {
      clearTimeout(timer);
      leave();
      setHas(false);
    };
  }, [wanted]);
  return has;
}

/** The server's answer about an image, which it makes if it must: an `<img>` is not told why it has none. */
async function ask(url: string, signal: AbortSignal): Promise<Source | null> {
  const answer = await fetch(url, { method: "HEAD", priority: "low", signal }).catch(() => null);
  return answer?.status === 200 ? "picture" : answer?.status === 202 ? "later" : null;
}

/** An image of a file, over its blurred placeholder until it is there. */
export function Picture({ file, quality, alt, preview = false, onNone, ...more }: PictureProps) {
  const url = pictureUrl(file._id, suited(file, quality));
  const exists = made(file).length > 0;
  const [source, setSource] = useState<Source>(exists ? "picture" : "asked");
  const [shown, setShown] = useState(false);
  const tries = useRef(0);
  const small = useRef(kindOf(file.mime_type) === "image" && (file.size ?? 0) <= SMALL);
  const image = useRef<HTMLImageElement>(null);
  const turn = useTurn(preview && (source === "asked" || (source === "original" && !shown)));
  const asks = source === "asked" && (turn || !preview);
  useEffect(() => {
    if (exists && !shown) setSource("picture");
  }, [exists]);
  useEffect(() => {
    if (!asks) return;
    const end = new AbortController();
    void ask(url, end.signal).then((found) => {
      if (end.signal.aborted) return;
      if (found !== "picture" && small.current) setSource("original");
      else if (found === null || tries.current++ === TRIES) onNone();
      else setSource(found);
    });
    return () => end.abort();
  }, [asks]);
  useEffect(() => {
    if (source !== "later") return;
    const timer = setTimeout(() => setSource("asked"), PAUSE);
    return () => clearTimeout(timer);
  }, [source]);
  const fail = () => {
    // The browser cannot show such an original, and the server may still be about to.
    if (source === "original") small.current = false;
    setSource(source === "original" ? "asked" : "later");
  };
  // A browser goes on loading for an element that is gone.
  useEffect(() => () => image.current?.removeAttribute("src"), []);
  const blurred = file.media?.placeholder;
  return (
    <span class={`picture ${more.class ?? ""}`}>
      {blurred && !shown && <img class="placeholder" src={blurred} alt="" aria-hidden="true" />}
      {(source === "picture" || source === "original") && (
        <img
          ref={image}
          // Until it is there, a browser would draw the sign of a broken image.
          class={shown ? "" : "coming"}
          src={source === "original" ? fileUrl(file._id) : url}
          alt={alt}
          loading={preview && source === "picture" ? "lazy" : "eager"}
          fetchPriority={preview ? "low" : "auto"}
          decoding="async"
          onLoad={() => setShown(true)}
          onError={fail}
        />
      )}
    </span>
  );
}
