/** The beginning of a text file. */

import { useEffect, useState } from "preact/hooks";
import { type Manifest, readText } from "./api.js";
import { size } from "./words.js";

/** Bytes that are shown. */
const SHOWN = 64_000;
const TYPES = /^(text\/(?!rtf)|application\/(json|xml|javascript|toml|yaml|x-yaml|x-sh|x-subrip|sql)$|.*\+(json|xml)$)/;
const ENDINGS = /\.(txt|md|log|csv|tsv|json|ya?ml|toml|ini|conf|srt|vtt|xml|html?|css|m?[jt]sx?|py|rs|go|c|h|cpp|java|rb|sh|sql)$/i;

export const isText = ({ mime_type, name }: Manifest) =>
  TYPES.test(mime_type.split(";", 1)[0] ?? "") || (mime_type === "application/octet-stream" && ENDINGS.test(name));

export function TextPreview({ file, onNone }: { file: Manifest; onNone: () => void }) {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    readText(file._id, SHOWN).then((read) => (read.includes("\0") ? onNone() : setText(read)), onNone);
  }, [file._id]);
  if (text === null) return <div class="media none" />;
  return (
    <figure class="text">
      <pre class="media" tabIndex={0} aria-label={`The text of ${file.name}`} dir="auto">{text}</pre>
      {(file.size ?? 0) > SHOWN && <figcaption class="hint">The first {size(SHOWN)} of {size(file.size ?? 0)}. Download it to see the rest.</figcaption>}
    </figure>
  );
}
