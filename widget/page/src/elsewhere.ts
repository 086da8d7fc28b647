/** What other tabs, devices and people change on the server is news here, too. */

import { useEffect } from "preact/hooks";
import { watch } from "../../src/watch.js";
import { uploadToken } from "./account.js";
import { home } from "./api.js";
import { tell } from "./news.js";

/** Milliseconds after which the page asks to be told: what it shows first comes first. */
const LATER = 3_000;

/** `user` is whose files the page shows: an admin hears of those of all. */
export function useElsewhere(user: string): void {
  useEffect(() => {
    let end = () => {};
    const timer = setTimeout(() => {
      end = watch(
        (change) => {
          if (change.type !== "resync" && change.data.user_id !== user) return;
          if (change.type !== "upload.changed") tell("files");
          if (!change.type.startsWith("upload.")) tell("folders");
        },
        { url: home.href, token: uploadToken(), onlyVisible: true },
      );
    }, LATER);
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [user]);
}
