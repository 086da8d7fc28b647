/** The choice between WebSocket and plain HTTP, made for each attempt. */

/**
 * How the bytes travel. `auto`: WebSocket, or plain HTTP where no WebSocket can be opened, or tus where the
 * server is none of Lading's and speaks that.
 */
export type Transport = "auto" | "websocket" | "http";

/** How many times in a row a WebSocket may fail to open: before one has opened, and afterwards. */
const ALLOWED_AT_FIRST = 1;
const ALLOWED_LATER = 3;
/** How many WebSockets in a row may open and bring no byte further: a proxy swallows what is sent. */
const ALLOWED_FRUITLESS = 2;
/** Milliseconds after which WebSocket is tried again where one swallowed everything. */
export const AVOIDED = 600_000;

/** Until when WebSocket is avoided, in milliseconds since 1970, for each server. All uploads share it. */
export type Avoided = Map<string, number>;

const everywhere: Avoided = new Map();

export class Route {
  private allowed = ALLOWED_AT_FIRST;
  private left = ALLOWED_AT_FIRST;
  private fruitless = 0;

  constructor(
    private readonly transport: Transport,
    private readonly canOpenSockets: boolean,
    private readonly server: string,
    private readonly now: () => number,
    private readonly avoided: Avoided = everywhere,
  ) {}

  /** The transport of the next attempt. */
  get transportNow(): "websocket" | "http" {
    if (!this.canOpenSockets || this.transport === "http") return "http";
    if (this.transport === "websocket") return "websocket";
    return this.left > 0 && !this.isAvoided ? "websocket" : "http";
  }

  private get isAvoided(): boolean {
    return this.now() < (this.avoided.get(this.server) ?? 0);
  }

  /** An upload was opened by the present transport. */
  opened(): void {
    if (this.transportNow === "websocket") this.left = this.allowed = ALLOWED_LATER;
  }

  /** More bytes than ever before are stored. */
  progressed(): void {
    this.fruitless = 0;
    if (this.transportNow === "websocket") this.avoided.delete(this.server);
  }

  /** A WebSocket did not open. */
  unopened(): void {
    this.left = Math.max(0, this.left - 1);
  }

  /** The present transport lost the server. If that was plain HTTP, WebSocket is tried again. */
  lostServer(): void {
    if (this.transportNow === "http") {
      this.left = this.allowed;
      this.avoided.delete(this.server);
      return;
    }
    this.fruitless += 1;
    if (this.fruitless < ALLOWED_FRUITLESS) return;
    this.fruitless = 0;
    this.avoided.set(this.server, this.now() + AVOIDED);
  }
}
