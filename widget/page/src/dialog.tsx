/** A dialog: it keeps the focus inside, closes with Escape, and returns the focus. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons.js";
import { sentenceHere } from "./words.js";

interface DialogProps {
  title: string;
  onClose: () => void;
  wide?: boolean;
  /** Beside the button that closes it. */
  before?: ComponentChildren;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, wide = false, before, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before the browser draws: else it is there for a moment and cannot be seen, and keys go to what is behind it.
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      // The browser does not return the focus when an open dialog is removed.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      // The browser tells it a moment later. By then another may have been asked for, which stays.
      onClose={() => element.current && onClose()}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog-inside">
        <header>
          <h2 id={id}>{title}</h2>
          <div class="dialog-buttons">
            {before}
            <button type="button" class="plain" aria-label="Close" onClick={onClose}>
              <Icon name="close" />
            </button>
          </div>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  /** The label of the button that changes nothing. */
  otherwise?: string;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something that cannot be undone. The button that changes nothing has the focus. */
export function Confirm({ title, text, action, otherwise = "Keep it", onConfirm, onClose }: ConfirmProps) {
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setBusy(false);
      setFailure(sentenceHere(error));
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p class="breakable">{text}</p>
      {failure && <p class="problem" role="alert">{failure}</p>}
      <div class="actions">
        <button type="button" class="danger" disabled={busy} onClick={confirm}>{action}</button>
        <button type="button" autofocus onClick={onClose}>{otherwise}</button>
      </div>
    </Dialog>
  );
}
