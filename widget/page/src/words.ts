/** Sizes, times and refusals in plain words. Pure. */

import { UploadError } from "../../src/protocol/errors.js";
import { prettierBytes as size } from "./bytes.js";

export { size };

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (time: string | number) => when.format(new Date(time));

/** How far an upload is, 0 to 100; 100 only when everything is there. */
export function percent(done: number, total: number | null): number {
  if (total === null) return 0;
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}

/** Where the browser client speaks of an upload, and the page of something else. */
const HERE: Readonly<Record<string, string>> = {
  "not-found": "It is not on the server any more; it may have been deleted elsewhere.",
  forbidden: "You are not allowed to do this; ask whoever runs the server.",
};

/** One sentence about what went wrong, and what to do. */
export function sentence(error: unknown): string {
  if (error instanceof Error && "isRestriction" in error) return error.message; // Uppy's own
  if (!(error instanceof UploadError)) return "Something went wrong in this page; reload it and try again.";
  if (error.code === "quota-exceeded") return quotaSentence(error);
  // A value that is not allowed: only the server knows which.
  if (error.code === "invalid-argument") return error.detail ?? error.message;
  return error.message;
}

/** The same of a link that could not be made. */
export function sentenceOfLink(error: unknown): string {
  if (!(error instanceof UploadError) || error.code !== "forbidden") return sentenceHere(error);
  return "Your token does not allow links: its scope lacks “grant”. Ask whoever gave it to you.";
}

/** The same of what is asked of files that are on the server already. */
export function sentenceHere(error: unknown): string {
  return (error instanceof UploadError && HERE[error.code]) || sentence(error);
}

function quotaSentence({ message, facts }: UploadError): string {
  const { limit, used, reserved } = facts;
  if (typeof limit !== "number" || typeof used !== "number") return message;
  const free = Math.max(0, limit - used - (typeof reserved === "number" ? reserved : 0));
  return (
    `The file does not fit into your quota: ${size(free)} of ${size(limit)} are free. ` +
    "Delete files that you no longer need, or ask for a larger quota."
  );
}
