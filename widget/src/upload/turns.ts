/** A queue that lets a limited number run at once, in the order of arrival. */

export class Turns {
  private readonly waiting: Array<() => void> = [];
  private running = 0;

  constructor(private readonly limit: number) {}

  /** Call `begin` when it is its turn. Returns a function that ends the turn or leaves the queue. */
  take(begin: () => void): () => void {
    let state: "waiting" | "running" | "over" = "waiting";
    const enter = (): void => {
      state = "running";
      this.running += 1;
      begin();
    };
    this.waiting.push(enter);
    this.advance();
    return () => {
      if (state === "waiting") this.waiting.splice(this.waiting.indexOf(enter), 1);
      if (state === "running") this.running -= 1;
      state = "over";
      this.advance();
    };
  }

  private advance(): void {
    while (this.running < this.limit) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      next();
    }
  }
}
