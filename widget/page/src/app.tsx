/** The page: sign-in, or the uploads on one side, the library on the other, and a file in a dialog. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { hasSession, renew } from "./account.js";
import { Admin } from "./admin.js";
import { getUsage, getWays, onRefused, type Usage, type Ways } from "./api.js";
import { useElsewhere } from "./elsewhere.js";
import { Tree } from "./folders.js";
import { Mark } from "./icons.js";
import { Library } from "./library.js";
import { Links } from "./links.js";
import { Announcer } from "./live.js";
import { useNews } from "./news.js";
import { Notices } from "./notice.js";
import { type Placed, type View as Shown, usePlace } from "./place.js";
import { SignIn, SignOut } from "./session.js";
import { AccountButton } from "./settings.js";
import { Trash } from "./trash.js";
import { Uploader } from "./uploader.js";
import { UsageBar } from "./usage.js";
import { Viewer } from "./viewer.js";
import { sentence } from "./words.js";

// A request that comes too late for its token is sent again with the next one.
onRefused(async () => hasSession() && (await renew()) !== null);

export function App() {
  const [usage, setUsage] = useState<Usage | null>(null);
  const [ways, setWays] = useState<Ways | null>(null);
  const [failure, setFailure] = useState("");
  const [signedOut, setSignedOut] = useState(false);
  const begun = useRef(false);
  const look = useCallback(async () => {
    try {
      if (!begun.current) {
        const found = await getWays();
        setWays(found);
        // The page cannot see whether its cookies have a session: the server can.
        if (found.ways.includes("password")) await renew();
        begun.current = true;
      }
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
      {signedOut && ways ? (
        <SignIn ways={ways} onSignedIn={look} />
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
  const place = usePlace();
  const { view, directory, open } = place;
  const [list, setList] = useState<string[]>([]);
  useElsewhere(usage.user_id);
  const deleted = useRef(false);
  useEffect(() => {
    // The card that had the focus before no longer exists.
    if (open === null && deleted.current) document.getElementById("library")?.focus();
    deleted.current = false;
  }, [open]);
  const forget = () => {
    deleted.current = true;
    place.go({ open: null });
  };
  return (
    <>
      <a class="skip" href="#library" onClick={skip}>Skip to the library</a>
      <header class="top">
        <h1><Mark /> Lading</h1>
        <nav class="views" aria-label="Views">
          {VIEWS.filter(([each]) => each !== "admin" || usage.admin).map(([each, hash, label]) => (
            <a key={each} href={hash} aria-current={view === each ? "page" : undefined}>{label}</a>
          ))}
        </nav>
        <UsageBar usage={usage} />
        <nav class="account" aria-label="Account">
          {hasSession() ? (
            <AccountButton name={usage.user_id} />
          ) : (
            <span class="user" title="Signed in as">{usage.user_id}</span>
          )}
          <a href="docs">API</a>
          <SignOut />
        </nav>
      </header>
      <main class="home">
        <div class="aside">
          <Uploader directory={directory} onOpen={(id) => place.go({ open: id })} />
          <Tree directory={directory} onMoved={() => undefined} />
        </div>
        <Notices />
        <View view={usage.admin || view !== "admin" ? view : "files"} place={place} onList={setList} />
      </main>
      {open && (
        <Viewer
          id={open}
          list={list}
          onOpen={(id) => place.swap({ open: id })}
          onClose={() => place.go({ open: null })}
          onDeleted={forget}
        />
      )}
    </>
  );
}

function View({ view, place, onList }: { view: Shown; place: Placed; onList: (ids: string[]) => void }) {
  switch (view) {
    case "admin":
      return <Admin />;
    case "links":
      return <Links />;
    case "trash":
      return <Trash />;
    case "files":
      return <Library place={place} onList={onList} />;
  }
}

const VIEWS = [
  ["files", "#", "Files"],
  ["links", "#links", "Links"],
  ["trash", "#trash", "Trash"],
  ["admin", "#admin", "Admin"],
] as const;

/** The address stays: it says which folder is shown. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("library")?.focus();
}
