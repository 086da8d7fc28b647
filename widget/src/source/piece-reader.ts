/** The pieces of a blob, read once for their checksum and for the message that carries them. */

import type { Checksums, Opened } from "./checksum.js";
import { ROOM } from "./reading.js";

/** Most bytes that are read and not given back; one piece may be larger. */
const AHEAD = 8 * 1024 * 1024;

/** Bytes and their CRC-32C. The `ROOM` bytes before them in the buffer are free. */
export interface Piece {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly crc32c: number;
  /** The piece is sent, or not needed. `unused`: nobody else holds the buffer. */
  readonly done: (unused: boolean) => void;
}

export class PieceReader {
  private readonly opened: Opened;
  private readonly spare: ArrayBuffer[] = [];
  /** Bytes that are being read, or are read and not given back. */
  private held = 0;
  private turn: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;

  constructor(
    blob: Blob,
    private readonly checksums: Checksums,
  ) {
    this.opened = checksums.open(blob);
  }

  /** The bytes `[start, end)`, when there is room for them. Rejects with the blob's own error, or the signal's reason. */
  async read(start: number, end: number, signal: AbortSignal): Promise<Piece> {
    const size = end - start;
    await (this.turn = this.turn.then(() => this.room(size)));
    try {
      signal.throwIfAborted();
      const spare = this.spare.pop();
      const buffer = spare !== undefined && spare.byteLength >= ROOM + size ? spare : new ArrayBuffer(ROOM + size);
      const filled = await this.checksums.piece(this.opened, start, end, buffer);
      const done = (unused: boolean): void => {
        if (unused) this.spare.push(filled.buffer);
        this.leave(size);
      };
      return { data: new Uint8Array(filled.buffer, ROOM, size), crc32c: filled.crc32c, done };
    } catch (error) {
      this.leave(size);
      throw error;
    }
  }

  close(): void {
    this.checksums.close(this.opened);
  }

  private async room(size: number): Promise<void> {
    while (this.held > 0 && this.held + size > AHEAD) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    this.held += size;
  }

  private leave(size: number): void {
    this.held -= size;
    this.wake();
  }
}
