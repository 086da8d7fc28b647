/**
 * How long to wait before the next attempt, and when to stop trying.
 *
 * Owns exponential back-off with full jitter, so that a thousand pages do not come back to a
 * restarted server at the same moment. Refuses to know what is attempted.
 */

const BASE_SECONDS = 0.2;
const CAP_SECONDS = 15;

/** Where time, sleep and chance come from; tests bring their own. */
export interface Timing {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after so many milliseconds, or as soon as the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Evenly from 0 up to 1. */
  readonly random: () => number;
}

export const realTiming: Timing = { now: Date.now, sleep, random: Math.random };

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}

/**
 * Delays between attempts without progress.
 *
 * The n-th is drawn evenly from 0 to `0.2 · 2^n` seconds, at most 15. Patience counts the seconds
 * waited since the last progress, not the time that passed: a laptop that slept has all of it.
 */
export class Backoff {
  private attempts = 0;
  private waited = 0;

  constructor(
    private readonly patience: number,
    private readonly random: () => number,
  ) {}

  /** Seconds to wait now, at least `after`; null when patience has run out. */
  delay(after = 0): number | null {
    if (this.waited >= this.patience) return null;
    const longest = Math.min(CAP_SECONDS, BASE_SECONDS * 2 ** this.attempts);
    this.attempts += 1;
    const seconds = after + this.random() * longest;
    // What is expected counts, so that lucky draws do not add attempts without end.
    this.waited += after + longest / 2;
    return seconds;
  }

  /** Something was achieved: the next failure is a first one again. */
  progressed(): void {
    this.attempts = 0;
    this.waited = 0;
  }
}
