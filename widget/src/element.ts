/**
 * `<lading-upload>`: choose files or drop them, and watch them being uploaded, without a line of script.
 * Importing this module defines it. What it does is a `Batch`; this is the face of one.
 */

import type { UploadError } from "./protocol/errors.js";
import type { Token } from "./transport/credential.js";
import { Batch, type BatchDone, type BatchFailure, type BatchTotals } from "./upload/batch.js";

/** Its events, with what their `detail` holds. */
export interface LadingUploadEvents {
  /** The totals changed: at most four times a second. */
  "lading-change": CustomEvent<BatchTotals>;
  /** A file is on the server. */
  "lading-done": CustomEvent<BatchDone>;
  "lading-failure": CustomEvent<BatchFailure>;
  /** The connection was lost; the uploads try again. */
  "lading-stalled": CustomEvent<UploadError>;
}

const STYLE = `
:host { display: block; font: inherit; color: inherit }
:host([hidden]) { display: none }
[part=zone] { display: block; padding: 1.5rem; border: 2px dashed currentColor; border-radius: .5rem;
  text-align: center; cursor: pointer }
[part=zone]:focus-within, [part=zone].over { outline: 3px solid Highlight; outline-offset: 2px }
input { position: absolute; opacity: 0; width: 1px; height: 1px }
progress { width: 100%; margin-top: .75rem }
p { margin: .5rem 0 }
button { font: inherit; margin-inline-end: .5rem }
ul { margin: .5rem 0; padding-inline-start: 1.25rem }
[hidden] { display: none }
`;

const MARKUP = `
<label part="zone"><slot>Choose files, or drop them here</slot><input type="file" part="input"></label>
<progress part="progress" aria-label="Upload" max="1" value="0" hidden></progress>
<p part="status" role="status"></p>
<ul part="failures" aria-label="Failed uploads" hidden></ul>
<div part="buttons">
  <button type="button" part="button" name="pause" hidden>Pause</button>
  <button type="button" part="button" name="retry" hidden>Try again</button>
  <button type="button" part="button" name="cancel" hidden>Cancel</button>
</div>
`;

/** A server that renders pages has no elements; there the class can be imported, and nothing else. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

export class LadingUpload extends Base {
  static readonly observedAttributes = ["accept", "multiple", "disabled"];
  /** A token, or a function that returns one; the attribute `token` if not set. */
  token: Token = undefined;
  private current: Batch | undefined;
  private readonly root: ShadowRoot;

  constructor() {
    super();
    this.root = this.attachShadow({ mode: "open", delegatesFocus: true });
    // Not a style element: a strict Content-Security-Policy would refuse it.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.root.adoptedStyleSheets = [sheet];
    this.root.innerHTML = MARKUP;
    this.input.addEventListener("change", () => {
      this.add(this.input.files ?? []);
      this.input.value = "";
    });
    this.on("pause", () => (this.current?.state === "paused" ? this.current.resume() : this.current?.pause()));
    this.on("retry", () => this.current?.retry());
    this.on("cancel", () => void this.cancel());
    for (const type of ["dragover", "dragleave", "drop"] as const) {
      this.piece("zone").addEventListener(type, (event) => this.dragged(event as DragEvent));
    }
  }

  /** What is being uploaded; undefined until the first file. */
  get batch(): Batch | undefined {
    return this.current;
  }

  /** Upload files, as if they had been chosen. */
  add(files: Iterable<File> | ArrayLike<File>): void {
    const directory = this.getAttribute("directory") ?? "";
    const chosen = Array.from(files, (file) => ({ file, directory: below(directory, file) }));
    if (chosen.length === 0 || this.hasAttribute("disabled")) return;
    this.current ??= this.begin();
    this.current.add(this.hasAttribute("multiple") ? chosen : chosen.slice(0, 1));
    this.show();
  }

  /** Stop, and delete what is not finished. */
  async cancel(): Promise<void> {
    const batch = this.current;
    this.current = undefined;
    await batch?.cancel();
    this.show();
  }

  attributeChangedCallback(): void {
    this.input.accept = this.getAttribute("accept") ?? "";
    this.input.multiple = this.hasAttribute("multiple");
    this.input.disabled = this.hasAttribute("disabled");
  }

  disconnectedCallback(): void {
    // Whoever moves it in the page takes it out first.
    queueMicrotask(() => {
      if (!this.isConnected) this.current?.pause();
    });
  }

  private begin(): Batch {
    const batch = new Batch({
      url: this.getAttribute("url") ?? undefined,
      token: this.token ?? this.getAttribute("token") ?? undefined,
      kind: this.getAttribute("kind") ?? undefined,
      direct: this.hasAttribute("direct"),
    });
    batch.on("change", ({ totals }) => {
      if (this.current === batch) this.show();
      this.tell("lading-change", totals);
    });
    batch.on("done", (file) => this.tell("lading-done", file));
    batch.on("failure", (failure) => this.tell("lading-failure", failure));
    batch.on("stalled", (error) => this.tell("lading-stalled", error));
    return batch;
  }

  private tell(name: keyof LadingUploadEvents, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  private dragged(event: DragEvent): void {
    event.preventDefault();
    this.piece("zone").classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") this.add(event.dataTransfer?.files ?? []);
  }

  // -- what is shown

  private show(): void {
    const batch = this.current;
    const totals = batch?.totals ?? { files: 0, done: 0, skipped: 0, failed: 0, size: 0, stored: 0, sent: 0 };
    const progress = this.piece("progress") as HTMLProgressElement;
    progress.hidden = totals.files === 0;
    progress.value = totals.files === 0 ? 0 : totals.size === 0 ? totals.done / totals.files : totals.stored / totals.size;
    this.piece("status").textContent = sentence(totals, batch?.state === "paused");
    const failures = this.piece("failures");
    failures.hidden = totals.failed === 0;
    failures.replaceChildren(...(batch?.failures ?? []).slice(0, 20).map(item));
    const pause = this.button("pause");
    pause.hidden = !(batch?.underWay ?? false);
    pause.textContent = batch?.state === "paused" ? "Resume" : "Pause";
    this.button("cancel").hidden = pause.hidden;
    this.button("retry").hidden = totals.failed === 0;
  }

  private get input(): HTMLInputElement {
    return this.piece("input") as HTMLInputElement;
  }

  private piece(name: string): HTMLElement {
    return this.root.querySelector<HTMLElement>(`[part=${name}]`)!;
  }

  private button(name: string): HTMLButtonElement {
    return this.root.querySelector<HTMLButtonElement>(`button[name=${name}]`)!;
  }

  private on(name: string, act: () => void): void {
    this.button(name).addEventListener("click", act);
  }
}

/** The directory of a file; that of a chosen folder keeps its own below. */
function below(directory: string, file: File): string {
  const inside = file.webkitRelativePath.split("/").slice(0, -1).join("/");
  return [directory, inside].filter((part) => part !== "").join("/");
}

function item({ file, error }: BatchFailure): HTMLLIElement {
  const shown = document.createElement("li");
  shown.textContent = `${file.name}: ${error.message}`;
  return shown;
}

/** Where it stands, in one sentence. */
export function sentence({ files, done, skipped, failed }: BatchTotals, paused: boolean): string {
  if (files === 0) return "";
  const there = skipped === 0 ? "" : skipped === done ? ", already there" : `, ${skipped} already there`;
  const lost = failed === 0 ? "" : `, ${failed} failed`;
  return `${paused ? "Paused: " : ""}${done} of ${files} ${files === 1 ? "file" : "files"} stored${there}${lost}`;
}

declare global {
  interface HTMLElementTagNameMap {
    "lading-upload": LadingUpload;
  }
  interface HTMLElementEventMap extends LadingUploadEvents {}
}

if (globalThis.customElements !== undefined && customElements.get("lading-upload") === undefined) {
  customElements.define("lading-upload", LadingUpload);
}
