/** Whether the device has a network, as far as the browser knows. Node always has one. */

export interface Network {
  readonly online: boolean;
  /** Call `changed` when the network is lost or returns. Returns a function that stops this. */
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
