/** A PDF, page by page, drawn by PDF.js, which is loaded with the first one. */

import type { PDFDocumentLoadingTask, PDFDocumentProxy } from "pdfjs-dist";
import { useEffect, useRef, useState } from "preact/hooks";
import { fileUrl, type Manifest } from "./api.js";
import { Icon } from "./icons.js";

async function begin(url: string): Promise<PDFDocumentLoadingTask> {
  const [pdf, { default: PdfWorker }] = await Promise.all([import("pdfjs-dist"), import("pdfjs-dist/build/pdf.worker.min.mjs?worker")]);
  pdf.GlobalWorkerOptions.workerPort ??= new PdfWorker();
  // Only what the shown pages need is fetched.
  return pdf.getDocument({ url, disableAutoFetch: true, disableStream: true, enableXfa: false });
}

export function PdfPreview({ file, onNone }: { file: Manifest; onNone: () => void }) {
  const place = useRef<HTMLCanvasElement>(null);
  const [document, setDocument] = useState<PDFDocumentProxy | null>(null);
  const [page, setPage] = useState(1);
  useEffect(() => {
    const task = begin(fileUrl(file._id));
    let wanted = true;
    task.then(({ promise }) => promise).then(
      (found) => wanted && setDocument(found),
      () => wanted && onNone(),
    );
    return () => {
      wanted = false;
      void task.then((begun) => begun.destroy(), () => undefined);
    };
  }, [file._id]);
  useEffect(() => {
    if (!document) return;
    draw(document, page, place).catch(onNone);
  }, [document, page]);
  const pages = document?.numPages ?? 0;
  return (
    <div class="pdf">
      <canvas ref={place} class="media" role="img" aria-label={`Page ${page} of ${pages} of ${file.name}`} />
      <div class="pdf-pages">
        {pages > 1 && (
          <>
            <button type="button" class="plain" aria-label="Previous page" disabled={page === 1} onClick={() => setPage(page - 1)}><Icon name="previous" /></button>
            <span role="status">{page} of {pages}</span>
            <button type="button" class="plain" aria-label="Next page" disabled={page === pages} onClick={() => setPage(page + 1)}><Icon name="next" /></button>
          </>
        )}
        <a href={fileUrl(file._id)} target="_blank" rel="noreferrer">Open the PDF in a tab</a>
      </div>
    </div>
  );
}

/** As wide as its place, and as sharp as the screen. */
async function draw(document: PDFDocumentProxy, number: number, place: { current: HTMLCanvasElement | null }): Promise<void> {
  const page = await document.getPage(number);
  const canvas = place.current;
  if (!canvas) return;
  const { width } = page.getViewport({ scale: 1 });
  const scale = ((canvas.clientWidth || 600) / width) * Math.min(window.devicePixelRatio, 2);
  const viewport = page.getViewport({ scale });
  [canvas.width, canvas.height] = [Math.floor(viewport.width), Math.floor(viewport.height)];
  await page.render({ canvas, viewport }).promise;
}
