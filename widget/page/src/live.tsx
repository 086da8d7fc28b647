/** Messages for screen readers: polite ones for progress, assertive ones for errors. */

import { useEffect, useState } from "preact/hooks";

type Voice = "polite" | "assertive";

const listeners = new Set<(text: string, voice: Voice) => void>();

export function announce(text: string, voice: Voice = "polite"): void {
  for (const listener of listeners) listener(text, voice);
}

export function Announcer() {
  const [said, setSaid] = useState({ polite: "", assertive: "" });
  useEffect(() => {
    const listener = (text: string, voice: Voice) =>
      // With a no-break space, the same sentence counts as a change and is read again.
      setSaid((before) => ({ ...before, [voice]: before[voice] === text ? `${text}\u00a0` : text }));
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return (
    <div class="unseen">
      <div role="status" aria-live="polite">{said.polite}</div>
      <div role="alert" aria-live="assertive">{said.assertive}</div>
    </div>
  );
}
