/**
 * The page on which people without an account send what somebody asked them for.
 *
 * Whoever gives a name gets a token of their own, which this browser keeps: with it the page finds again what
 * was begun, also after the tab was closed or killed.
 */

import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";
import "./request.css";
import Uppy, { type Meta, type UppyFile } from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import { hasCode } from "../../src/protocol/errors.js";
import Lading from "../../src/uppy.js";
import { readDrop } from "./drop.js";
import { percent, sentence, size } from "./words.js";

type Body = Record<string, unknown>;

/** Who sends, as this browser keeps it. `sent` has the names of what arrived, the newest last. */
interface Sender {
  token: string;
  name: string;
  sent: { name: string; size: number }[];
}

interface Unfinished {
  name: string;
  size: number | null;
  upload_size: number;
  state: string;
}

/** The server's address: that of the page without `r/` and the token. */
const home = new URL("../", location.href);
const title = document.title;

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// -- who sends

const keyOf = (id: string) => `lading-request-${id}`;

function kept(id: string): Sender | null {
  try {
    return JSON.parse(localStorage.getItem(keyOf(id)) ?? "null") as Sender | null;
  } catch {
    return null; // no storage here, or something else is in it
  }
}

function keep(id: string, sender: Sender | null): void {
  try {
    if (sender) localStorage.setItem(keyOf(id), JSON.stringify(sender));
    else localStorage.removeItem(keyOf(id));
  } catch {
    // Without storage everything works but finding it again.
  }
}

class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function ask(path: string, token: string | null, body?: unknown): Promise<Body> {
  const answer = await fetch(new URL(path, home), {
    method: body === undefined ? "GET" : "POST",
    headers: {
      Accept: "application/json",
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    cache: "no-store",
  });
  const told = (await answer.json().catch(() => ({}))) as Body;
  if (!answer.ok) throw new Refused(answer.status, String(told["detail"] ?? "The server cannot be reached."));
  return told;
}

async function nameSender(name: string): Promise<Sender> {
  const token = location.pathname.split("/").at(-1) ?? "";
  const told = await ask(`v1/g/${token}/senders`, null, { name });
  return { token: String(told["token"]), name, sent: [] };
}

/** The form in which somebody gives a name, until the server took it. */
function askForName(place: HTMLElement): Promise<Sender> {
  const field = element("input", { id: "sender", name: "name", required: true, maxLength: 128, autocomplete: "name" });
  const problem = element("p", { className: "alert", hidden: true });
  problem.setAttribute("role", "alert");
  const form = element(
    "form",
    {},
    element("label", { htmlFor: "sender" }, "Your name"),
    field,
    element("p", { className: "faint" }, "Whoever asked for the files sees it beside them."),
    problem,
    element("div", { className: "row" }, element("button", { type: "submit" }, "Continue")),
  );
  place.replaceChildren(form);
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      nameSender(field.value.trim() || field.value).then(resolve, (error: unknown) => {
        problem.textContent = error instanceof Refused ? error.message : "The server cannot be reached. Try again.";
        problem.hidden = false;
      });
    });
  });
}

// -- what is sent

class Sending {
  private readonly uppy: Uppy<Meta, Body>;
  private readonly problems = element("ul", { className: "problems" });
  private readonly unfinished = element("section", { hidden: true });
  private readonly sent = element("section", { hidden: true });
  private readonly live = element("p", { className: "unseen" });

  constructor(private readonly id: string, private readonly sender: Sender, place: HTMLElement, types: string[]) {
    this.problems.setAttribute("aria-label", "Files that were not sent");
    const dashboard = element("div", { className: "dashboard" });
    this.live.setAttribute("role", "status");
    place.replaceChildren(
      element("p", {}, "You send as ", element("strong", {}, sender.name), "."),
      dashboard,
      this.problems,
      this.unfinished,
      this.sent,
      this.live,
    );
    this.uppy = new Uppy<Meta, Body>({
      autoProceed: true,
      restrictions: { allowedFileTypes: types.length > 0 ? types : null },
      onBeforeFileAdded: (file, files) => {
        const same = files[file.id];
        return same === undefined || same.progress.uploadComplete === true || Boolean(same.error);
      },
    });
    this.uppy.use(Lading<Meta, Body>, { url: home.href, token: sender.token });
    this.uppy.use(Dashboard<Meta, Body>, {
      target: dashboard,
      inline: true,
      width: "100%",
      height: 320,
      theme: "auto",
      proudlyDisplayPoweredByUppy: false,
      disableInformer: true,
      singleFileFullScreen: false,
      note: "If the connection drops, or this page is closed, what was sent is not lost.",
      locale: { strings: WORDS },
    });
    new MutationObserver(() => giveRoles(dashboard)).observe(dashboard, { childList: true, subtree: true });
    giveRoles(dashboard);
    this.uppy.on("upload-success", (file) => {
      if (file) this.arrived(file);
      this.live.textContent = `${file?.name ?? "The file"} has arrived.`;
    });
    this.uppy.on("upload-error", (file, error) => this.failed(file?.name ?? "", error));
    this.uppy.on("restriction-failed", (file, error) => this.failed(file?.name ?? "", error));
    this.uppy.on("file-added", () => this.problems.replaceChildren());
    this.uppy.on("progress", (done) => (document.title = this.isUnderWay ? `${done} % · ${title}` : title));
    this.uppy.on("complete", ({ successful }) => {
      document.title = title;
      // They are in the list below; the area is for what is to come.
      for (const { id } of successful ?? []) if (this.uppy.getFile(id)) this.uppy.removeFile(id);
      // Without an answer the list stays as it is.
      this.showUnfinished().catch(() => undefined);
    });
    takeDrops((files) => dashboardOf(this.uppy)?.addFiles(files));
    window.addEventListener("beforeunload", (event) => {
      if (this.isUnderWay) event.preventDefault();
    });
    this.showSent();
  }

  /** What was begun before and is not complete; raises Refused. */
  async showUnfinished(): Promise<void> {
    const { uploads } = (await ask("v1/uploads", this.sender.token)) as { uploads?: Unfinished[] };
    const here = new Set(this.uppy.getFiles().map(({ name }) => name));
    const open = (uploads ?? []).filter((each) => each.state === "uploading" && !here.has(each.name));
    const rows = open.map((each) => {
      const done = `${percent(each.upload_size, each.size)} % of ${size(each.size ?? each.upload_size)} arrived.`;
      return element("li", {}, element("strong", {}, each.name), ` ${done}`);
    });
    fill(this.unfinished, "Not complete", "Choose these files again: they continue where they stopped.", rows);
  }

  private get isUnderWay(): boolean {
    const files = this.uppy.getFiles();
    return files.some(({ progress, error }) => progress.uploadStarted && !progress.uploadComplete && !error);
  }

  private arrived(file: UppyFile<Meta, Body>): void {
    this.sender.sent.push({ name: file.name, size: file.size ?? 0 });
    keep(this.id, this.sender);
    this.showSent();
  }

  private showSent(): void {
    const rows = this.sender.sent.map((each) => element("li", {}, `${each.name}, ${size(each.size)}`));
    fill(this.sent, "Sent by you", "", rows.reverse());
  }

  private failed(name: string, error: unknown): void {
    const isFull = hasCode(error, "quota-exceeded");
    const text = isFull ? "There is not enough room for it. Tell whoever asked for it." : sentence(error);
    const row = element("li", {}, element("strong", {}, name), ` ${text}`);
    this.problems.append(row);
    this.live.textContent = `${name}: ${text}`;
  }
}

function fill(section: HTMLElement, heading: string, text: string, rows: HTMLLIElement[]): void {
  section.hidden = rows.length === 0;
  section.replaceChildren(
    element("h2", {}, heading),
    ...(text ? [element("p", {}, text)] : []),
    element("ul", { className: "lines" }, ...rows),
  );
}

const WORDS = { dashboardTitle: "Files to send", dropPasteFiles: "Drop files here, or %{browseFiles}", browseFiles: "Choose files" };

const dashboardOf = (uppy: Uppy<Meta, Body>) => uppy.getPlugin<Dashboard<Meta, Body>>("Dashboard");

/** ARIA roles that the Dashboard lacks: its label needs a region, and its items need a list. */
function giveRoles(place: HTMLElement): void {
  place.querySelector(".uppy-Dashboard:not([role])")?.setAttribute("role", "region");
  place.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
}

/** Takes what is dropped anywhere on the page, folders with all that is in them. */
function takeDrops(take: (files: File[]) => void): void {
  const has = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => has(event) && event.preventDefault());
  document.addEventListener(
    "drop",
    (event) => {
      if (!has(event) || !event.dataTransfer) return;
      event.preventDefault();
      event.stopPropagation();
      void readDrop(event.dataTransfer).then(({ files }) => take(files));
    },
    { capture: true },
  );
}

async function begin(place: HTMLElement, id: string): Promise<void> {
  const types = (place.dataset["types"] ?? "").split(",").filter(Boolean);
  const before = kept(id);
  const sender = before ?? (await askForName(place));
  if (!before) keep(id, sender);
  const sending = new Sending(id, sender, place, types);
  try {
    await sending.showUnfinished();
  } catch (error) {
    // The link was ended, or is another one: only a new name can help.
    if (error instanceof Refused && error.status === 401) {
      keep(id, null);
      location.reload();
    }
  }
}

const place = document.getElementById("request");
if (place?.dataset["id"]) void begin(place, place.dataset["id"]);
