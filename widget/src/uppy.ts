/**
 * An uploader plugin for Uppy. It runs one `Upload` for each file, a limited number at once, and
 * translates between Uppy's events and those of `Upload`.
 */

import {
  BasePlugin,
  type Body,
  EventManager,
  type Meta,
  type PluginOpts,
  type Uppy,
  type UppyFile,
} from "@uppy/core";

import { UploadError } from "./protocol/errors.js";
import { SMALL } from "./upload/batch.js";
import type { Manifest } from "./upload/events.js";
import type { UploadOptions } from "./upload/options.js";
import { Turns } from "./upload/turns.js";
import { Upload } from "./upload/upload.js";
import { VERSION } from "./version.js";

const AT_ONCE = 3;

/** Options of the plugin: the options of `Upload`, for every file, and these. */
export interface LadingOptions<M extends Meta, B extends Body>
  extends PluginOpts, Omit<UploadOptions, "name" | "type" | "fingerprint" | "id" | "sha256"> {
  /** How many files are uploaded at once. Default: 3. */
  readonly limit?: number | undefined;
  /** Options for one file, such as a grant's token or a directory. They override the others. */
  readonly forFile?:
    | ((file: UppyFile<M, B>) => Partial<UploadOptions> | Promise<Partial<UploadOptions>>)
    | undefined;
}

declare module "@uppy/core" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  export interface PluginTypeRegistry<M extends Meta, B extends Body> {
    Lading: LadingUploader<M, B>;
  }
}

export class LadingUploader<M extends Meta, B extends Body> extends BasePlugin<
  LadingOptions<M, B>,
  M,
  B
> {
  static readonly VERSION = VERSION;
  private readonly turns: Turns;

  constructor(uppy: Uppy<M, B>, options: LadingOptions<M, B> = {}) {
    super(uppy, options);
    this.type = "uploader";
    this.id = options.id ?? "Lading";
    this.turns = new Turns(options.limit ?? AT_ONCE);
  }

  override install(): void {
    this.setCapabilities({ resumableUploads: true, individualCancellation: true });
    this.uppy.addUploader(this.upload);
  }

  override uninstall(): void {
    this.setCapabilities({ resumableUploads: false });
    this.uppy.removeUploader(this.upload);
  }

  private setCapabilities(capabilities: Record<string, boolean>): void {
    const before = this.uppy.getState().capabilities;
    this.uppy.setState({ capabilities: { ...before, ...capabilities } });
  }

  private readonly upload = async (ids: string[]): Promise<void> => {
    const all = ids.map((id) => this.uppy.getFile(id));
    const files = all.filter((file) => !file.error && !file.progress.uploadComplete);
    // An upload that was under way before a reload keeps its progress.
    const fresh = files.filter((file) => !file.progress.uploadStarted || !file.isRestored);
    this.uppy.emit("upload-start", fresh);
    await Promise.allSettled(files.map((file) => this.uploadFile(file)));
  };

  private async uploadFile(file: UppyFile<M, B>): Promise<void> {
    let upload: Upload;
    try {
      upload = await this.uploadOf(file);
    } catch (error) {
      this.uppy.emit("upload-error", this.uppy.getFile(file.id), asError(error));
      return;
    }
    if (this.uppy.getFile(file.id) === undefined) return; // removed in the meantime
    const events = new EventManager(this.uppy);
    try {
      const manifest = await new FileUpload(this.uppy, events, file.id, upload, this.turns).end;
      if (manifest !== null) this.succeeded(file.id, manifest);
    } catch (error) {
      const { code } = asError(error);
      const body = { code } as unknown as B;
      this.uppy.emit("upload-error", this.uppy.getFile(file.id), asError(error), {
        status: 0,
        body,
      });
    } finally {
      events.remove();
    }
  }

  private async uploadOf(file: UppyFile<M, B>): Promise<Upload> {
    const { limit: _limit, forFile, id: _id, locale: _locale, ...common } = this.opts;
    if (!(file.data instanceof Blob)) {
      throw new UploadError("source-failed", { detail: "The content of the file is not available." });
    }
    const own = (await forFile?.(file)) ?? {};
    return new Upload(file.data, {
      name: file.meta.name,
      type: file.type || undefined,
      id: (file as Restorable).lading?.id,
      small: SMALL,
      ...common,
      directory: directoryOf(file.meta.relativePath, common.directory),
      ...own,
    });
  }

  private succeeded(id: string, manifest: Manifest): void {
    this.uppy.emit("upload-success", this.uppy.getFile(id), {
      status: 200,
      body: { ...manifest } as unknown as B,
      uploadURL: manifest.url,
      bytesUploaded: manifest.size,
    });
  }
}

export default LadingUploader;

/** Stored with the file, so that Golden Retriever restores it after a reload. */
interface Restorable {
  readonly lading?: { readonly id: string };
}

/** One file from its turn to its end, controlled by Uppy's buttons. */
class FileUpload<M extends Meta, B extends Body> {
  /** The finished file, or null when it was removed. Rejects with UploadError. */
  readonly end: Promise<Manifest | null>;
  private resolve!: (manifest: Manifest | null) => void;
  private reject!: (error: unknown) => void;
  private leaveTurn: () => void = () => undefined;
  private readonly started = Date.now();

  constructor(
    private readonly uppy: Uppy<M, B>,
    events: EventManager<M, B>,
    private readonly file: string,
    private readonly upload: Upload,
    private readonly turns: Turns,
  ) {
    this.end = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    upload.on("opened", ({ id }) => this.remember(id));
    upload.on("progress", ({ stored, size }) => this.progressed(stored, size));
    upload.on("state", (state) => {
      if (state === "offline" || state === "connecting") this.stalled();
    });
    events.onPause(file, (paused) => (paused ? this.pause() : this.go()));
    events.onPauseAll(file, () => this.pause());
    events.onResumeAll(file, () => this.go());
    events.onCancelAll(file, () => this.cancel());
    events.onFileRemove(file, () => this.cancel());
    if (!uppy.getFile(file).isPaused) this.go();
  }

  /** Start or resume, when it is this file's turn. */
  private go(): void {
    this.leaveTurn();
    this.leaveTurn = this.turns.take(() => {
      if (this.upload.state === "paused") this.upload.resume();
      else
        this.upload.start().then(
          (manifest) => this.over(manifest),
          (error) => this.fail(error),
        );
    });
  }

  /** Another file may take the turn. */
  private pause(): void {
    this.leaveTurn();
    this.upload.pause();
  }

  private cancel(): void {
    this.leaveTurn();
    this.upload.cancel().catch((error: unknown) => this.report(asError(error)));
    this.resolve(null);
  }

  /** What the server keeps although the file was removed here. */
  private report(error: UploadError): void {
    this.uppy.log(error, "warning");
    this.uppy.info(error.message, "warning");
  }

  private over(manifest: Manifest): void {
    this.leaveTurn();
    this.resolve(manifest);
  }

  private fail(error: unknown): void {
    this.leaveTurn();
    this.reject(error);
  }

  private remember(id: string): void {
    if (this.uppy.getFile(this.file) === undefined) return;
    this.uppy.setFileState(this.file, { lading: { id } } satisfies Restorable as object);
  }

  private progressed(bytesUploaded: number, bytesTotal: number | null): void {
    const file = this.uppy.getFile(this.file);
    if (file === undefined) return;
    const uploadStarted = file.progress.uploadStarted ?? this.started;
    this.uppy.emit("upload-progress", file, { uploadStarted, bytesUploaded, bytesTotal });
  }

  private stalled(): void {
    const file = this.uppy.getFile(this.file);
    const { lastError } = this.upload;
    if (file !== undefined && lastError !== null)
      this.uppy.emit("upload-stalled", lastError, [file]);
  }
}

/** Files of a dropped folder stay in that folder. */
export function directoryOf(path: string | null | undefined, within = ""): string {
  const folders = (path ?? "").split("/").slice(0, -1);
  return [within, ...folders].filter((name) => name !== "").join("/");
}

function asError(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  return new UploadError("internal", { detail: String(error) }, { cause: error });
}
