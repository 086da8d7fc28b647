/** The states of an upload, and which state may follow which. */

export type UploadState =
  | "idle"
  | "connecting"
  | "uploading"
  | "paused"
  | "offline"
  | "verifying"
  | "done"
  | "failed"
  | "cancelled";

const UNDER_WAY = ["connecting", "uploading", "verifying", "offline"] as const;

/** What ends an attempt, or the upload, at any time while it is under way. */
const ENDS = ["paused", "failed", "cancelled"] as const;

const NEXT: Readonly<Record<UploadState, readonly UploadState[]>> = {
  idle: ["connecting", "cancelled"],
  connecting: ["uploading", "offline", "done", ...ENDS],
  uploading: ["connecting", "verifying", "offline", "done", ...ENDS],
  verifying: ["connecting", "uploading", "offline", "done", ...ENDS],
  offline: ["connecting", ...ENDS],
  // An attempt may end in the moment of the pause.
  paused: ["connecting", "done", "failed", "cancelled"],
  done: [],
  failed: ["connecting", "cancelled"],
  cancelled: [],
};

/** Whether an upload in the state `before` may enter the state `after`. */
export function follows(before: UploadState, after: UploadState): boolean {
  return NEXT[before].includes(after);
}

/** Whether attempts are made, so that a pause is possible. */
export function isUnderWay(state: UploadState): boolean {
  return (UNDER_WAY as readonly UploadState[]).includes(state);
}
