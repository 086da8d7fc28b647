/** Icons in the colour of the text. Screen readers ignore them. */

const PATHS = {
  video: "M4 5h11a2 2 0 0 1 2 2v2.5l4-2.5v10l-4-2.5V17a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z",
  image: "M4 4h16a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zm3 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM4 18h16l-5.5-7.5-4 5-2.5-3z",
  audio: "M20 3v12.5a3 3 0 1 1-2-2.83V7.4l-8 1.6v9a3 3 0 1 1-2-2.83V5.4z",
  file: "M6 2h8l6 6v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm7 1.5V9h5.5z",
  play: "M7 4.5v15l13-7.5z",
  download: "M11 3h2v9l3.5-3.5 1.4 1.4L12 15.8 6.1 9.9l1.4-1.4L11 12zM4 18h16v2.5H4z",
  link: "M10.6 13.4a4 4 0 0 0 5.7 0l3.5-3.5a4 4 0 0 0-5.7-5.7l-1.5 1.5 1.4 1.4 1.5-1.5a2 2 0 0 1 2.9 2.9l-3.5 3.5a2 2 0 0 1-2.9 0zm2.8-2.8a4 4 0 0 0-5.7 0l-3.5 3.5a4 4 0 0 0 5.7 5.7l1.5-1.5-1.4-1.4-1.5 1.5a2 2 0 0 1-2.9-2.9l3.5-3.5a2 2 0 0 1 2.9 0z",
  trash: "M9 2h6l1 2h5v2H3V4h5zM5 8h14l-1 12a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2z",
  close: "M6.4 5 12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z",
  search: "M10 3a7 7 0 1 0 4.3 12.5l5.1 5.1 1.4-1.4-5.1-5.1A7 7 0 0 0 10 3zm0 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10z",
  offline: "M3.5 2 2 3.5l4.3 4.3A5.5 5.5 0 0 0 7 18.5h9.9l3.6 3.5L22 20.5zM12 5.5c-1 0-2 .2-2.9.7L20.6 17.7A4.5 4.5 0 0 0 18 9.6a6 6 0 0 0-6-4.1z",
  warning: "M12 2 1 21h22zm-1 7h2v6h-2zm0 7.5h2V19h-2z",
  upload: "M12 3l6 6-1.4 1.4L13 6.8V16h-2V6.8L7.4 10.4 6 9zM4 18h16v2.5H4z",
  pause: "M7 4.5h3.5v15H7zm6.5 0H17v15h-3.5z",
  done: "M9.5 16.2 5.3 12l-1.4 1.4 5.6 5.6L20.6 8l-1.4-1.4z",
  folder: "M3 5a2 2 0 0 1 2-2h5l2 2.5h7a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  next: "M9 5l7 7-7 7-1.4-1.4L13.2 12 7.6 6.4z",
  previous: "M15 5l-7 7 7 7 1.4-1.4L10.8 12l5.6-5.6z",
  grid: "M4 4h7v7H4zm9 0h7v7h-7zM4 13h7v7H4zm9 0h7v7h-7z",
  list: "M4 5h3v3H4zm5 .5h11v2H9zM4 10.5h3v3H4zm5 .5h11v2H9zM4 16h3v3H4zm5 .5h11v2H9z",
  tag: "M3 3h8l10 10-8 8L3 11zm4.5 3a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  move: "M3 5a2 2 0 0 1 2-2h5l2 2.5h7a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zm8 4v3H7v2.5h4V17l5-3.8z",
  new: "M11 4h2.5v7h7v2.5h-7v7H11v-7H4V11h7z",
  copy: "M8 2h11a2 2 0 0 1 2 2v12h-2V4H8zM4 6h11a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2z",
  share: "M17 2a3.5 3.5 0 1 1-2.4 6L9 11.2a3.5 3.5 0 0 1 0 1.6l5.6 3.2a3.5 3.5 0 1 1-1 1.7L8 14.5a3.5 3.5 0 1 1 0-5l5.6-3.2A3.5 3.5 0 0 1 17 2z",
  restore: "M12 5a7.5 7.5 0 1 1-7.3 9.2l2-.5A5.5 5.5 0 1 0 8.3 8.500H11v2H4.500V4h2v3.200A7.500 7.500 0 0 1 12 5z",
  edit: "M16.5 3 21 7.5 8.5 20H4v-4.5zM14 5.5 18.5 10",
} as const;

export type Sign = keyof typeof PATHS;

export function Icon({ name }: { name: Sign }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path fill-rule="evenodd" d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#0f5f80" />
      <path d="M6 21h20l-2.2 4.2a2 2 0 0 1-1.8 1H10a2 2 0 0 1-1.8-1z" fill="#fff" />
      <path d="M8 14h4.6v5H8zm5.7 0h4.6v5h-4.6zm5.7 0H24v5h-4.6z" fill="#9fdcf2" />
      <path d="M13.7 7.5h4.6v5h-4.6z" fill="#ffc56b" />
    </svg>
  );
}

/** The kind of a file, by its media type. */
export function kindOf(type: string): "video" | "image" | "audio" | "file" {
  const kind = type.split("/", 1)[0];
  return kind === "video" || kind === "image" || kind === "audio" ? kind : "file";
}
