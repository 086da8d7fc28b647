/** What screen readers are told: one polite voice for the course of things, one that interrupts for errors. */

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
      // A no-break space makes the same sentence said twice a change.
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
