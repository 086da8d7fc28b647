/** The page: sign-in, or the uploads on one side, the library on the other, and a file in a dialog. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { getUsage, type Usage } from "./api.js";
import { Mark } from "./icons.js";
import { Library } from "./library.js";
import { Announcer } from "./live.js";
import { useNews } from "./news.js";
import { SignIn, SignOut } from "./session.js";
import { Uploader } from "./uploader.js";
import { UsageBar } from "./usage.js";
import { Viewer } from "./viewer.js";
import { sentence } from "./words.js";

const FILE = /^#([0-9a-f]{24})$/;

/** The open file is part of the address, so that it has a link and the back button closes it. */
function useOpenFile(): [string | null, (id: string | null) => void] {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const look = () => setHash(location.hash);
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  const open = (id: string | null) => {
    location.hash = id ?? "";
  };
  return [FILE.exec(hash)?.[1] ?? null, open];
}

export function App() {
  const [usage, setUsage] = useState<Usage | null>(null);
  const [failure, setFailure] = useState("");
  const [signedOut, setSignedOut] = useState(false);
  const look = useCallback(async () => {
    try {
      setUsage(await getUsage());
      setSignedOut(false);
      setFailure("");
    } catch (error) {
      setFailure(sentence(error));
    }
  }, []);
  useEffect(() => void look(), [look]);
  useNews("files", look);
  useNews("uploads", look);
  useNews("signed-out", useCallback(() => setSignedOut(true), []));

  return (
    <>
      <Announcer />
      {signedOut ? (
        <SignIn refused={location.hash === "#refused"} onSignedIn={look} />
      ) : usage ? (
        <Home usage={usage} />
      ) : (
        failure && (
          <main class="sign-in">
            <div>
              <p class="problem" role="alert">{failure}</p>
              <button type="button" onClick={look}>Try again</button>
            </div>
          </main>
        )
      )}
    </>
  );
}

function Home({ usage }: { usage: Usage }) {
  const [open, setOpen] = useOpenFile();
  const deleted = useRef(false);
  useEffect(() => {
    // The card that had the focus before no longer exists.
    if (open === null && deleted.current) document.getElementById("library")?.focus();
    deleted.current = false;
  }, [open]);
  const forget = () => {
    deleted.current = true;
    setOpen(null);
  };
  return (
    <>
      <a class="skip" href="#library">Skip to the library</a>
      <header class="top">
        <h1><Mark /> Lading</h1>
        <UsageBar usage={usage} />
        <nav aria-label="Account">
          <span class="user" title="Signed in as">{usage.user_id}</span>
          <a href="docs">API</a>
          <SignOut />
        </nav>
      </header>
      <main class="home">
        <Uploader onOpen={setOpen} />
        <Library onOpen={setOpen} />
      </main>
      {open && <Viewer key={open} id={open} onClose={() => setOpen(null)} onDeleted={forget} />}
    </>
  );
}
