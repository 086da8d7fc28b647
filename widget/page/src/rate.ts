/** How fast uploads are, from the rate at which bytes became durable recently, and how long they still take. */

/** The rate is that of the last so many milliseconds. */
const WINDOW = 10_000;
/** There is no estimate before so many milliseconds. */
const LEAST = 1_000;
/** Milliseconds between two samples. */
const STEP = 100;

export class Rate {
  private readonly samples: { at: number; sent: number }[] = [];

  /** So many bytes were sent in total, and are durable. */
  sent(sent: number, now: number): void {
    const last = this.samples.at(-1);
    if (last && now - last.at < STEP) return;
    this.samples.push({ at: now, sent });
    while ((this.samples[1]?.at ?? now) < now - WINDOW) this.samples.shift();
  }

  /** A pause does not count: start to measure again. */
  paused(): void {
    this.samples.length = 0;
  }

  /** Bytes a second; null while there is no estimate. */
  perSecond(now: number): number | null {
    const [first] = this.samples;
    const last = this.samples.at(-1);
    if (!first || !last || now - first.at < LEAST || last.sent <= first.sent) return null;
    return Math.round(((last.sent - first.sent) / (now - first.at)) * 1000);
  }

  /** Seconds that `bytes` will take; null while there is no estimate. */
  seconds(bytes: number, now: number): number | null {
    const rate = this.perSecond(now);
    return rate ? bytes / rate : null;
  }
}
