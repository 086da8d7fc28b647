/** Texts for people: sizes, times and errors. */

import { UploadError } from "../../src/protocol/errors.js";
import { prettierBytes as size } from "./bytes.js";

export { size };

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (time: string | number) => when.format(new Date(time));

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
export const date = (time: string | number) => day.format(new Date(time));

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

/** How long something still takes. */
export function timeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 90) return `about ${whole} s left`;
  if (whole < 5400) return `about ${Math.ceil(whole / 60)} min left`;
  return `about ${Math.ceil(whole / 3600)} h left`;
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

/** Why somebody could not sign in or make an account. */
export function sentenceOfSignIn(error: unknown): string {
  if (!(error instanceof UploadError)) return sentence(error);
  const { code, facts, detail, message } = error;
  if (code === "unauthorized") return "The name or the password is wrong.";
  if (code === "name-taken") return "This name is taken. Choose another one.";
  if (code === "rate-limited") {
    const seconds = typeof facts["retry_after"] === "number" ? facts["retry_after"] : 60;
    const minutes = Math.ceil(seconds / 60);
    return `There were too many attempts. Try again in ${minutes === 1 ? "a minute" : `${minutes} minutes`}.`;
  }
  if (code === "forbidden") return detail ?? message;
  return sentence(error);
}

/** Why a passkey could not be made or used. */
export function sentenceOfPasskey(error: unknown): string {
  // The browser does not say whether somebody declined, waited too long, or has no passkey.
  if (error instanceof DOMException && error.name === "NotAllowedError") return "No passkey was used. Try again, or use another way.";
  if (error instanceof DOMException && error.name === "InvalidStateError") return "This device has a passkey already.";
  if (error instanceof UploadError && error.code === "unauthorized") {
    return `${(error.detail ?? error.message).replace(/\.$/, "")}.`;
  }
  return sentenceOfSignIn(error);
}

/** Why somebody could not sign in at a provider, by the code in the address. */
export function sentenceOfProvider(code: string, host: string): string {
  if (code === "forbidden") return `${host} or this server does not let you in. Ask the administrator of this server.`;
  if (code === "unavailable") return `${host} does not answer. Try again in a moment.`;
  return `Signing in at ${host} took too long, or was begun in another browser. Try again.`;
}

/** Why the password could not be changed. */
export function sentenceOfPassword(error: unknown): string {
  if (error instanceof UploadError && error.code === "unauthorized") return "The present password is wrong.";
  return sentenceOfSignIn(error);
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
