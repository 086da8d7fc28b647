/** Texts for people: sizes, times and errors. */

import { UploadError } from "../../src/protocol/errors.js";
import { prettierBytes as size } from "./bytes.js";

export { size };

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (time: string | number) => when.format(new Date(time));

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60]] as const;

/** How long ago a time was. A device whose clock is behind shows "just now". */
export function ago(time: string, now = Date.now()): string {
  const seconds = (now - Date.parse(time)) / 1000;
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["minute", 0];
  return length === 0 ? "just now" : relative.format(-Math.floor(seconds / length), unit);
}

/** A length of time such as 1:02:03. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first = 0, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

/** Progress from 0 to 100; 100 only when everything is stored. */
export function percent(done: number, total: number | null): number {
  if (total === null) return 0;
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}

/** Sentences for files, where the browser client has one about uploads. */
const HERE: Readonly<Record<string, string>> = {
  "not-found": "It is no longer on the server. It may have been deleted elsewhere.",
  forbidden: "You are not allowed to do this. Ask the operator of the server.",
};

/** What went wrong with an upload, and what to do. */
export function sentence(error: unknown): string {
  if (error instanceof Error && "isRestriction" in error) return error.message; // Uppy's own
  if (!(error instanceof UploadError)) return "Something went wrong in this page. Reload it and try again.";
  if (error.code === "quota-exceeded") return quotaSentence(error);
  if (error.code === "too-large" && typeof error.facts["limit"] === "number") {
    return `The file is too large: at most ${size(error.facts["limit"])} are allowed here. Choose a smaller one.`;
  }
  // Only the server knows which value is not allowed.
  if (error.code === "invalid-argument") return error.detail ?? error.message;
  return error.message;
}

/** The same for a link that could not be created. */
export function sentenceOfLink(error: unknown): string {
  if (!(error instanceof UploadError) || error.code !== "forbidden") return sentenceHere(error);
  return "Your token cannot create links: it lacks the scope “grant”. Ask whoever gave you the token.";
}

/** The same for files that are on the server. */
export function sentenceHere(error: unknown): string {
  return (error instanceof UploadError && HERE[error.code]) || sentence(error);
}

function quotaSentence({ message, facts }: UploadError): string {
  const { limit, used, reserved } = facts;
  if (typeof limit !== "number" || typeof used !== "number") return message;
  const free = Math.max(0, limit - used - (typeof reserved === "number" ? reserved : 0));
  const advice = used > 0 ? "Delete files that you no longer need, or ask for a larger quota." : "Ask for a larger quota.";
  return `The file does not fit into your quota: ${size(free)} of ${size(limit)} are free. ${advice}`;
}
