/** Rates, from two looks at numbers that only grow. */

import type { Overview } from "./admin-api.js";

/** Each for one second. */
export interface Rates {
  received: number;
  sent: number;
  stored: number;
  requests: number;
}

/** What happened between two looks; null where the server began again, or too little time passed to tell. */
export function rates(before: Overview, now: Overview): Rates | null {
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  const each = (get: (of: Overview) => number) => (get(now) - get(before)) / seconds;
  const found = {
    received: each(({ traffic }) => traffic.received),
    sent: each(({ traffic }) => traffic.sent),
    stored: each(({ traffic }) => traffic.stored),
    requests: each(({ requests }) => requests),
  };
  return seconds > 0 && Object.values(found).every((rate) => rate >= 0) ? found : null;
}
