/** The choice between WebSocket and plain HTTP, made for each attempt. */

/** How the bytes travel. `auto`: WebSocket, or plain HTTP where no WebSocket can be opened. */
export type Transport = "auto" | "websocket" | "http";

/** How many times in a row a WebSocket may fail to open: before one has opened, and afterwards. */
const ALLOWED_AT_FIRST = 1;
const ALLOWED_LATER = 3;

export class Route {
  private allowed = ALLOWED_AT_FIRST;
  private left = ALLOWED_AT_FIRST;

  constructor(
    private readonly transport: Transport,
    private readonly canOpenSockets: boolean,
  ) {}

  /** The transport of the next attempt. */
  get transportNow(): "websocket" | "http" {
    if (!this.canOpenSockets || this.transport === "http") return "http";
    return this.transport === "websocket" || this.left > 0 ? "websocket" : "http";
  }

  /** An upload was opened by the present transport. */
  opened(): void {
    if (this.transportNow === "websocket") this.left = this.allowed = ALLOWED_LATER;
  }

  /** A WebSocket did not open. */
  unopened(): void {
    this.left = Math.max(0, this.left - 1);
  }

  /** The present transport lost the server. If that was plain HTTP, WebSocket is tried again. */
  lostServer(): void {
    if (this.transportNow === "http") this.left = this.allowed;
  }
}
