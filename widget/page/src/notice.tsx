/** What was just done, with a button that undoes it. Ctrl+Z does the same. */

import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icons.js";
import { announce } from "./live.js";
import { sentenceHere } from "./words.js";

/** Milliseconds that a notice is shown. */
const SHOWN = 15_000;

interface Notice {
  text: string;
  undo?: () => Promise<unknown>;
}

const listeners = new Set<(notice: Notice) => void>();

export function notify(notice: Notice): void {
  announce(notice.undo ? `${notice.text} Press Control Z to undo.` : notice.text);
  for (const listener of listeners) listener(notice);
}

export function Notices() {
  const [notice, setNotice] = useState<Notice | null>(null);
  const [held, setHeld] = useState(false);
  useEffect(() => {
    listeners.add(setNotice);
    return () => void listeners.delete(setNotice);
  }, []);
  useEffect(() => {
    if (!notice || held) return;
    const timer = setTimeout(() => setNotice(null), SHOWN);
    return () => clearTimeout(timer);
  }, [notice, held]);
  const undo = async () => {
    setNotice(null);
    try {
      await notice?.undo?.();
      notify({ text: "Undone." });
    } catch (error) {
      notify({ text: sentenceHere(error) });
    }
  };
  useEffect(() => {
    if (!notice?.undo) return;
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
      if (typing || event.key.toLowerCase() !== "z" || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      void undo();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [notice]);
  if (!notice) return null;
  return (
    <div
      class="notice"
      role="group"
      aria-label="Just done"
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocusIn={() => setHeld(true)}
      onFocusOut={() => setHeld(false)}
    >
      <p class="breakable">{notice.text}</p>
      {notice.undo && <button type="button" class="small" onClick={undo}>Undo</button>}
      <button type="button" class="plain" aria-label="Dismiss" onClick={() => setNotice(null)}><Icon name="close" /></button>
    </div>
  );
}
