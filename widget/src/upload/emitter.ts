/** Events with typed values. An error in one listener does not stop the others. */

export class Emitter<Events> {
  private readonly listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Call `listener` at each event. Returns a function that stops this. */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all);
    all.add(listener);
    return () => void all.delete(listener);
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) {
      try {
        (listener as (value: Events[K]) => void)(value);
      } catch (error) {
        // Report it to the page's error handler, as the browser does for its own events.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
