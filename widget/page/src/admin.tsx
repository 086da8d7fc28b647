/** What admins see: the state of the server, its users, and what all of them have open. */

import "./admin.css";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { watch } from "../../src/watch.js";
import { uploadToken } from "./account.js";
import { getOverview, type Overview } from "./admin-api.js";
import { Grants, Uploads } from "./admin-lists.js";
import { Users } from "./admin-users.js";
import { home } from "./api.js";
import { type Rates, rates } from "./rates.js";
import { sentence, size } from "./words.js";

/** Milliseconds between two looks at the numbers. */
const LOOK = 2000;
/** Lists are read again this many milliseconds after something has changed. */
const CALM = 1000;

/** A number that grows when files or uploads of anybody change. */
function useChanges(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const changed = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setChanges((before) => before + 1);
      }, CALM);
    };
    const end = watch(changed, { url: home.href, token: uploadToken() });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, []);
  return changes;
}

export function Admin() {
  const changes = useChanges();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="library admin" id="library" tabIndex={-1} aria-labelledby="admin">
      <h2 id="admin" tabIndex={-1} ref={heading}>Admin</h2>
      <State />
      <Users changes={changes} />
      <Uploads changes={changes} />
      <Grants />
    </section>
  );
}

// -- the state of the server

function State() {
  const [now, setNow] = useState<Overview | null>(null);
  const [live, setLive] = useState<Rates | null>(null);
  const [failure, setFailure] = useState("");
  const before = useRef<Overview | null>(null);
  const look = useCallback(async () => {
    if (document.hidden) return;
    try {
      const found = await getOverview();
      setLive(before.current && rates(before.current, found));
      before.current = found;
      setNow(found);
      setFailure("");
    } catch (error) {
      setFailure(sentence(error));
    }
  }, []);
  useEffect(() => {
    void look();
    const timer = setInterval(look, LOOK);
    return () => clearInterval(timer);
  }, [look]);
  return (
    <section class="panel" aria-labelledby="state">
      <h3 id="state">Server</h3>
      {failure && <p class="problem" role="alert">{failure}</p>}
      {now && (
        <dl class="numbers">
          <Figure name="Receiving" value={speed(live?.received)} />
          <Figure name="Sending" value={speed(live?.sent)} />
          <Figure name="Stored" value={speed(live?.stored)} />
          <Figure name="Requests" value={live ? `${live.requests.toFixed(1)}/s` : "…"} />
          <Figure name="Connections" value={String(now.connections.http + now.connections.websocket)} more={`${now.connections.websocket} of uploads, ${now.connections.streams} of events`} />
          <Figure name="Uploads" value={`${now.uploads.finished} finished`} more={`${now.uploads.begun} begun, ${now.uploads.aborted} aborted, ${now.uploads.expired} expired, since the start`} />
          <Figure name="Outbox" value={now.outbox ? `${now.outbox.left} to do` : "not known"} more={now.outbox?.left ? `the oldest for ${seconds(now.outbox.oldest_seconds)}` : "all is done"} />
          <Figure name="Webhooks" value={now.webhooks ? `${now.webhooks.left} to send` : "not known"} more={now.webhooks_disabled ? `${now.webhooks_disabled} disabled` : ""} />
          <Figure name="Janitor" value={now.janitor.sweeps === 1 ? "1 sweep" : `${now.janitor.sweeps} sweeps`} more={`${now.janitor.expired} expired, ${now.janitor.purged} removed, ${now.janitor.failed} failed`} />
          {Object.entries(now.free_space).map(([disk, free]) => (
            <Figure key={disk} name={`Free: ${disk}`} value={size(free)} />
          ))}
        </dl>
      )}
      {now && <p class="hint">Lading {now.version}. The numbers are those of this server; more are at <code>/metrics</code>.</p>}
    </section>
  );
}

function Figure({ name, value, more }: { name: string; value: string; more?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {more && <span class="hint">{more}</span>}
      </dd>
    </div>
  );
}

const speed = (bytes: number | undefined) => (bytes === undefined ? "…" : `${size(Math.round(bytes))}/s`);

function seconds(count: number): string {
  if (count < 120) return `${Math.round(count)} s`;
  return count < 7200 ? `${Math.round(count / 60)} min` : `${Math.round(count / 3600)} h`;
}
