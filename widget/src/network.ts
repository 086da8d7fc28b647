/**
 * Whether the device has a network, as far as it knows.
 *
 * Owns the browser's two events. Where there are none, as in Node, there always is a network.
 */

export interface Network {
  readonly online: boolean;
  /** Call `changed` whenever it comes or goes; gives how to stop that. */
  watch(changed: () => void): () => void;
}

export const realNetwork: Network = {
  get online() {
    return (globalThis.navigator as Navigator | undefined)?.onLine !== false;
  },
  watch(changed) {
    if (typeof globalThis.addEventListener !== "function") return () => undefined;
    globalThis.addEventListener("online", changed);
    globalThis.addEventListener("offline", changed);
    return () => {
      globalThis.removeEventListener("online", changed);
      globalThis.removeEventListener("offline", changed);
    };
  },
};
