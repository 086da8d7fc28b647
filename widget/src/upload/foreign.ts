/**
 * The turn to tus, where the server is none of Lading's: it is asked what it speaks only after an answer that
 * no Lading server gives, so that a Lading server is neither asked nor sent to by tus.
 */

import { hasCode } from "../protocol/errors.js";
import type { CompleteFile } from "../protocol/messages.js";
import { Retry } from "../protocol/retry.js";
import type { Source } from "../source/source.js";
import type { Api } from "../transport/http.js";
import type { TransferListener } from "../transport/transfer.js";
import { Tus } from "../transport/tus.js";
import { type TusPayload, TusTransfer } from "../transport/tus-transfer.js";
import type { Unfinished } from "./lookup.js";

/** What stays the same for all attempts. */
export interface ForeignPlan {
  readonly api: Api;
  readonly source: Source;
  readonly request: TusPayload["request"];
  /** Whether the caller leaves the transport open. */
  readonly allowed: boolean;
  /** By which an upload is found after a reload; undefined if it cannot be. */
  readonly fingerprint: () => Promise<string | undefined>;
}

export class Foreign {
  private tus: Tus | undefined;

  constructor(
    private readonly plan: ForeignPlan,
    private readonly listener: TransferListener,
  ) {
    if (plan.allowed) this.tus = Tus.known(plan.api);
  }

  /** Whether the server is one that is sent to by tus. */
  get found(): boolean {
    return this.tus !== undefined;
  }

  /** After a failure: whether the server turns out to be one, from now on. */
  async turn(failure: unknown): Promise<boolean> {
    const { api, allowed } = this.plan;
    if (this.found || !allowed || api.recognized) return false;
    const error = failure instanceof Retry ? failure.error : failure;
    // To a page of another site, a browser does not tell a refusal from a lost network.
    if (hasCode(error, "network") && !api.crossesOrigins) return false;
    this.tus = await Tus.discover(api);
    return this.found;
  }

  /** The upload of the same file that this browser began. */
  async find(): Promise<Unfinished | undefined> {
    const fingerprint = await this.plan.fingerprint();
    const id = fingerprint === undefined ? undefined : this.server.find(fingerprint);
    return id === undefined ? undefined : { id, doubtful: false };
  }

  /** Send to the upload at `address`, or to a new one. Rejects as `TusTransfer.run`. */
  async send(address: string | undefined, signal: AbortSignal): Promise<CompleteFile> {
    const { source, request } = this.plan;
    const fingerprint = await this.plan.fingerprint();
    const payload = { source, request, address, fingerprint, listener: this.listener, signal };
    return new TusTransfer(payload, this.server).run();
  }

  /** Delete an upload, or the file that it became. */
  async delete(address: string): Promise<void> {
    await this.server.delete(address);
  }

  private get server(): Tus {
    if (this.tus === undefined) throw new Error("the server is not known to speak tus");
    return this.tus;
  }
}
