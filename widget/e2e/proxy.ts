/** A proxy between browser and server that can be slow, cut connections, or block WebSocket. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

const NO_UPGRADE = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

export class Proxy {
  /** Bytes per second from the browser to the server, for each connection. */
  rate = Infinity;
  blocksWebSocket = false;
  /** WebSocket upgrades that passed. */
  upgrades = 0;
  /** Bytes that the browser sent. */
  sent = 0;
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
      const upgrades = /^upgrade:\s*websocket/im.test(head.toString("latin1"));
      if (upgrades && this.blocksWebSocket) {
        browser.end(NO_UPGRADE);
        return;
      }
      if (upgrades) this.upgrades += 1;
      const server = connect(this.port, "127.0.0.1");
      this.keep(server);
      server.write(head);
      browser.on("data", (data) => this.up(browser, server, data));
      server.pipe(browser);
      browser.on("close", () => server.destroy());
      server.on("close", () => browser.destroy());
    });
  }

  private up(browser: Socket, server: Socket, data: Buffer): void {
    this.sent += data.length;
    const written = server.write(data);
    const wait = (data.length / this.rate) * 1000;
    if (wait >= 1) {
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
    socket.on("close", () => this.sockets.delete(socket));
  }
}
