/**
 * Events between the parts of the page: files, folders or uploads on the server changed, or the session ended.
 *
 * The first one is passed on at once, and those of the next second together: each makes the page ask the
 * server, also when a hundred files a second arrive.
 */

import { useEffect } from "preact/hooks";

export type News = "files" | "folders" | "uploads" | "signed-out";

const target = new EventTarget();

/** Milliseconds in which equal news are passed on once. */
const STEP = 1_000;

/** News of the last step, and whether they were told again in it. */
const recent = new Map<News, boolean>();

export function tell(news: News): void {
  if (recent.has(news)) {
    recent.set(news, true);
    return;
  }
  recent.set(news, false);
  setTimeout(() => {
    const again = recent.get(news);
    recent.delete(news);
    if (again) tell(news);
  }, STEP);
  target.dispatchEvent(new Event(news));
}

export function useNews(news: News, heard: () => void): void {
  useEffect(() => {
    target.addEventListener(news, heard);
    return () => target.removeEventListener(news, heard);
  }, [news, heard]);
}
