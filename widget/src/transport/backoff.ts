/**
 * How long to wait before the next attempt, and when to stop trying: exponential back-off with full
 * jitter, so that a thousand pages do not return to a restarted server at the same moment.
 */

const BASE_SECONDS = 0.2;
const CAP_SECONDS = 15;

/** The clock and the source of randomness. Tests use their own. */
export interface Timing {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after this time, or as soon as the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
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
 * The n-th delay is uniform between 0 and `0.2 · 2^n` seconds, at most 15. Patience counts the seconds
 * waited since the last progress, not the time that passed: a laptop that slept loses none of it.
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
    // The expected delay counts, so that short random delays do not allow endless attempts.
    this.waited += after + longest / 2;
    return seconds;
  }

  /** There was progress: start again with the shortest delay and full patience. */
  progressed(): void {
    this.attempts = 0;
    this.waited = 0;
  }
}
