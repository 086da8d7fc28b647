/** The page: who is signed in, the uploads on one side, the library on the other, a file in front. */

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

/** The file that the address names, so that it can be linked to, and left by the back button. */
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
    // The card that would have the focus back is gone.
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
        <Uploader />
        <Library onOpen={setOpen} />
      </main>
      {open && <Viewer key={open} id={open} onClose={() => setOpen(null)} onDeleted={forget} />}
    </>
  );
}
