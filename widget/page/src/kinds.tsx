/** The choice of a kind of files, where the server has kinds, and what the chosen one asks for. */

import { useEffect, useId, useState } from "preact/hooks";
import { type Kind, listKinds } from "./api.js";
import { chooseKind } from "./uploads.js";
import { size } from "./words.js";

/** Milliseconds after which the kinds are asked for: the library comes first. */
const LATER = 500;

export function Kinds() {
  const id = useId();
  const [kinds, setKinds] = useState<Kind[]>([]);
  const [chosen, setChosen] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => void listKinds().then(setKinds, () => undefined), LATER);
    return () => clearTimeout(timer);
  }, []);
  if (kinds.length === 0) return null;
  const choose = (name: string) => {
    setChosen(name);
    chooseKind(name || undefined);
  };
  const kind = kinds.find(({ name }) => name === chosen);
  return (
    <div class="kinds">
      <label for={id}>Kind of files</label>
      <select id={id} value={chosen} aria-describedby={`${id}-rules`} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">Any</option>
        {kinds.map(({ name }) => <option key={name} value={name}>{name}</option>)}
      </select>
      <p id={`${id}-rules`} class="hint" role="status">{kind && rulesOf(kind)}</p>
    </div>
  );
}

function rulesOf({ max_size, mime_types, directory, public: everyone }: Kind): string {
  const rules = [
    max_size !== null && `at most ${size(max_size)}`,
    mime_types.length > 0 && `only ${mime_types.join(", ")}`,
    directory !== null && `in the directory ${directory}`,
    everyone && "anyone with the address can fetch them",
  ];
  return rules.filter(Boolean).join(" · ") || "No limits of its own";
}
