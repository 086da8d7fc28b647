/**
 * Work that is done for many callers at once: one operation for all who wait when it begins. A caller that
 * comes while nothing is under way waits for nobody; the busier it gets, the more go together.
 * Source: docs/decisions/0106-what-waits-goes-together.md
 */

import type { Handed } from "../transport/small-file.js";

/** What became of one item: its result, or the error that its caller gets. */
export type Outcome<Result> = { readonly result: Result } | { readonly error: unknown };

export interface Limits<Item> {
  /** So many operations are under way at once. */
  readonly atOnce: number;
  /** The size of what goes together, or of a single larger item. */
  readonly most: number;
  /** Whether an item may go with the first one of an operation. */
  readonly fits: (first: Item, other: Item) => boolean;
}

/** An item, and its caller, who may go away. */
class Waiting<Item, Result> {
  readonly done: Promise<Result>;
  /** Called once, when the caller has what it waits for, or is gone. */
  left: () => void = () => undefined;
  private settled: (outcome: Outcome<Result>) => void = () => undefined;

  constructor(
    readonly item: Item,
    readonly size: number,
    private readonly signal: AbortSignal,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.settled = (outcome) => ("error" in outcome ? reject(outcome.error) : resolve(outcome.result));
    });
    signal.addEventListener("abort", this.gone);
  }

  settle(outcome: Outcome<Result>): void {
    this.signal.removeEventListener("abort", this.gone);
    this.settled(outcome);
    const { left } = this;
    this.left = () => undefined;
    left();
  }

  private readonly gone = (): void => this.settle({ error: this.signal.reason });
}

export class Together<Item, Result> {
  private waiting: Array<Waiting<Item, Result>> = [];
  private underWay = 0;
  private held = false;

  /**
   * `work` gets the items in the order in which they came, and returns for each what became of it. What it
   * throws is everybody's. Its signal is aborted when all callers are gone.
   */
  constructor(
    private readonly work: (items: readonly Item[], signal: AbortSignal) => Promise<ReadonlyArray<Outcome<Result>>>,
    private readonly limits: Limits<Item>,
  ) {}

  /** Have an item done, by an operation that begins after this call. With `signal`, its caller goes away. */
  do(item: Item, size: number, signal: AbortSignal): Handed<Result> {
    signal.throwIfAborted();
    const waiting = new Waiting<Item, Result>(item, size, signal);
    const remove = (): boolean => take(this.waiting, waiting);
    waiting.left = remove;
    this.waiting.push(waiting);
    this.advance();
    return { done: waiting.done, leave: (reason) => void (remove() && waiting.settle({ error: reason })) };
  }

  /** Begin nothing more. What is under way goes on. */
  hold(): void {
    this.held = true;
  }

  /** Go on. */
  release(): void {
    this.held = false;
    this.advance();
  }

  private advance(): void {
    while (!this.held && this.waiting.length > 0 && this.underWay < this.limits.atOnce) {
      this.underWay += 1;
      void this.run(this.next()).finally(() => {
        this.underWay -= 1;
        this.advance();
      });
    }
  }

  /** Those that go together now, the longest waiting first. */
  private next(): Array<Waiting<Item, Result>> {
    const [first] = this.waiting;
    let [count, size] = [0, 0];
    for (const each of this.waiting) {
      const fits = size + each.size <= this.limits.most && this.limits.fits(first!.item, each.item);
      if (count > 0 && !fits) break;
      count += 1;
      size += each.size;
    }
    return this.waiting.splice(0, count);
  }

  private async run(together: ReadonlyArray<Waiting<Item, Result>>): Promise<void> {
    const end = new AbortController();
    let left = together.length;
    for (const each of together) {
      each.left = () => {
        left -= 1;
        if (left === 0) end.abort(new DOMException("nobody waits for it", "AbortError"));
      };
    }
    try {
      const outcomes = await this.work(together.map(({ item }) => item), end.signal);
      together.forEach((each, at) => each.settle(outcomes[at]!));
    } catch (error) {
      for (const each of together) each.settle({ error });
    }
  }
}

/** Take one out of a list. Returns whether it was there. */
export function take<Each>(list: Each[], one: Each): boolean {
  const at = list.indexOf(one);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
