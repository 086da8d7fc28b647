/** The kinds of files of a server, asked for once. Source: docs/http-api.md, "Kinds". */

import { asMap } from "../protocol/messages.js";
import type { Api, Json } from "./http.js";

export class Kinds {
  private directories: Promise<ReadonlyMap<unknown, unknown>> | undefined;

  constructor(private readonly api: Api) {}

  /** Where a file will be: in the directory of its kind, if that has one, else in `directory`. */
  async place(kind: string | undefined, directory: string, signal?: AbortSignal): Promise<string> {
    if (kind === undefined) return directory;
    const asked = (this.directories ??= this.listed(signal));
    asked.catch(() => (this.directories = undefined)); // ask again next time
    const own = (await asked).get(kind);
    return typeof own === "string" ? own : directory;
  }

  private async listed(signal?: AbortSignal): Promise<ReadonlyMap<unknown, unknown>> {
    const { kinds } = await this.api.json("GET", "/v1/kinds", { signal });
    const all = ((kinds ?? []) as readonly Json[]).map(asMap);
    return new Map(all.map(({ name, directory }) => [name, directory]));
  }
}
