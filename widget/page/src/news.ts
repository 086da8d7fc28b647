/** Events between the parts of the page: files or uploads on the server changed, or the session ended. */

import { useEffect } from "preact/hooks";

export type News = "files" | "uploads" | "signed-out";

const target = new EventTarget();

export function tell(news: News): void {
  target.dispatchEvent(new Event(news));
}

export function useNews(news: News, heard: () => void): void {
  useEffect(() => {
    target.addEventListener(news, heard);
    return () => target.removeEventListener(news, heard);
  }, [news, heard]);
}
