/** Events with typed values. Owns who hears of what; one hearer's failure stops no other. */

export class Emitter<Events> {
  private readonly hearers = new Map<keyof Events, Set<(value: never) => void>>();

  /** Hear of an event; gives how to stop that. */
  on<K extends keyof Events>(event: K, hearer: (value: Events[K]) => void): () => void {
    const all = this.hearers.get(event) ?? new Set();
    this.hearers.set(event, all);
    all.add(hearer);
    return () => void all.delete(hearer);
  }

  tell<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const hearer of [...(this.hearers.get(event) ?? [])]) {
      try {
        (hearer as (value: Events[K]) => void)(value);
      } catch (error) {
        // As with the browser's own events: told to the page's error handler.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
