/** What the client knows about its upload on the server, as a state and its transitions. */

export type Standing =
  /** Nothing is known. Look for an earlier start before CREATE. */
  | { readonly state: "unknown" }
  /** The server has no earlier start. CREATE comes next. */
  | { readonly state: "absent" }
  /** CREATE was sent and not answered. The upload may exist; look for it before another CREATE. */
  | { readonly state: "requested" }
  /** This upload was created by this client. */
  | { readonly state: "created"; readonly id: string }
  /** An earlier start, which the caller named or the client found. */
  | { readonly state: "remembered"; readonly id: string };

export type StandingEvent =
  /** The server was asked for an earlier start. `id`: it has one. */
  | { readonly type: "looked"; readonly id: string | undefined }
  /** CREATE is about to be sent. */
  | { readonly type: "creating" }
  /** The server opened the upload. */
  | { readonly type: "opened"; readonly id: string }
  /** The upload is given up, in favour of a new one. */
  | { readonly type: "dropped" };

/** The id of the upload, if it is known. */
export function idOf(standing: Standing): string | undefined {
  return "id" in standing ? standing.id : undefined;
}

/** Whether the server must be asked for an earlier start before anything else. */
export function mustLook({ state }: Standing): boolean {
  return state === "unknown" || state === "requested";
}

/** The state after an event. Throws when the event is not possible in this state. */
export function advance(standing: Standing, event: StandingEvent): Standing {
  switch (`${standing.state} ${event.type}` as const) {
    case "unknown looked":
      return found("remembered", event);
    case "requested looked":
      return found("created", event);
    case "absent creating":
      return { state: "requested" };
    case "requested opened":
      return found("created", event);
    case "created opened":
    case "remembered opened":
      return standing;
    case "created dropped":
    case "remembered dropped":
      return { state: "absent" };
    default:
      throw new Error(`"${event.type}" is not possible while the upload is ${standing.state}`);
  }
}

function found(state: "created" | "remembered", event: StandingEvent): Standing {
  return "id" in event && event.id !== undefined ? { state, id: event.id } : { state: "absent" };
}
