/** A proxy between browser and server that can be slow, cut connections, fail, or block or swallow WebSocket. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** RFC 6455, section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A response of the proxy itself: not a problem document. */
function refusal(status: number): string {
  return `HTTP/1.1 ${status} No\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>`;
}

function accepted(head: string): string {
  const key = /^sec-websocket-key:\s*(\S+)/im.exec(head)?.[1] ?? "";
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  return (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: lading.v1\r\n\r\n`
  );
}

export class Proxy {
  /** Bytes per second from the browser to the server, for each connection. */
  rate = Infinity;
  /** Answer WebSocket upgrades with this status; 101: accept them, and swallow all that follows. */
  webSocketStatus: number | null = null;
  /** Answer the next requests that match with these statuses. */
  failures: { readonly pattern: RegExp; readonly statuses: number[] } = { pattern: /$^/, statuses: [] };
  /** Requests that match are never answered. */
  silence = /$^/;
  /** How many those were. */
  unanswered = 0;
  /** WebSocket upgrades that were swallowed. */
  swallowed = 0;
  /** WebSocket upgrades that passed. */
  upgrades = 0;
  /** Bytes that the browser sent. */
  sent = 0;
  private most = Infinity;
  private readonly held = new Set<Socket>();
  private isCut = false;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server;

  private constructor(private readonly port: number) {
    this.listener = createServer((socket) => this.accept(socket));
  }

  /** Start a proxy in front of a port of this machine. */
  static async before(port: number): Promise<Proxy> {
    const proxy = new Proxy(port);
    proxy.listener.listen(0, "127.0.0.1");
    await once(proxy.listener, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.listener.address() as AddressInfo).port}`;
  }

  /** Hold connections back when the browser has sent so many bytes in all, until more are allowed. */
  allow(most: number): void {
    this.most = most;
    for (const socket of this.held) socket.resume();
    this.held.clear();
  }

  /** Cut every connection, and refuse new ones. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.listener.close();
    await once(this.listener, "close");
  }

  private accept(browser: Socket): void {
    if (this.isCut) {
      browser.destroy();
      return;
    }
    this.keep(browser);
    browser.once("data", (head) => {
      const text = head.toString("latin1");
      const upgrades = /^upgrade:\s*websocket/im.test(text);
      if (upgrades && this.webSocketStatus === 101) {
        this.swallowed += 1;
        browser.write(accepted(text));
        browser.on("data", () => undefined);
        return;
      }
      if (upgrades && this.webSocketStatus !== null) {
        browser.end(refusal(this.webSocketStatus));
        return;
      }
      if (upgrades) this.upgrades += 1;
      if (this.isSilent(head)) return;
      const status = this.failure(head);
      if (status !== undefined) {
        browser.end(refusal(status));
        return;
      }
      const server = connect(this.port, "127.0.0.1");
      this.keep(server);
      server.write(head);
      browser.on("data", (data) => {
        if (this.isSilent(data)) return;
        const status = this.failure(data);
        if (status === undefined) this.up(browser, server, data);
        else browser.end(refusal(status));
      });
      server.pipe(browser);
      browser.on("close", () => server.destroy());
      server.on("close", () => browser.destroy());
    });
  }

  /** The status that answers a request instead of the server, if one is due. */
  private failure(data: Buffer): number | undefined {
    const { pattern, statuses } = this.failures;
    return statuses.length > 0 && pattern.test(data.toString("latin1", 0, 200)) ? statuses.shift() : undefined;
  }

  private isSilent(data: Buffer): boolean {
    const matches = this.silence.test(data.toString("latin1", 0, 200));
    if (matches) this.unanswered += 1;
    return matches;
  }

  private up(browser: Socket, server: Socket, data: Buffer): void {
    this.sent += data.length;
    const written = server.write(data);
    const wait = (data.length / this.rate) * 1000;
    if (this.sent >= this.most) {
      browser.pause();
      this.held.add(browser);
    } else if (wait >= 1) {
      browser.pause();
      setTimeout(() => browser.resume(), wait);
    } else if (!written) {
      browser.pause();
      server.once("drain", () => browser.resume());
    }
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.sockets.delete(socket);
      this.held.delete(socket);
    });
  }
}
