import { Batch } from "lading";

/** Upload all files of a chosen folder, and report the totals. */
export async function uploadFolder(input: HTMLInputElement, status: HTMLElement): Promise<void> {
  const batch = new Batch();
  batch.on("change", ({ totals }) => {
    status.textContent = `${totals.done} of ${totals.files} files, ${totals.failed} failed`;
  });
  const files = [...(input.files ?? [])];
  batch.add(
    files.map((file) => ({
      file,
      directory: file.webkitRelativePath.split("/").slice(0, -1).join("/"),
    })),
  );
  await batch.settled();
}
