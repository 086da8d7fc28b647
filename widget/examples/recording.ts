import { Upload } from "lading";

/** Upload what a camera records while it records; ends with `recorder.stop()`. */
export function uploadRecording(recorder: MediaRecorder, name: string): Upload {
  const recorded = new ReadableStream<Uint8Array>({
    start(controller) {
      let last: Promise<void> = Promise.resolve();
      recorder.ondataavailable = ({ data }) => {
        last = last.then(async () => controller.enqueue(new Uint8Array(await data.arrayBuffer())));
      };
      recorder.onstop = () => void last.then(() => controller.close());
    },
  });
  recorder.start(1000);
  return new Upload(recorded, { name, type: recorder.mimeType });
}
