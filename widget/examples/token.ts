import { Upload } from "lading";

/** An upload that outlives its token: a new one is asked for before the old one expires. */
export function uploadAs(file: File, server: string): Upload {
  return new Upload(file, {
    url: server,
    token: async (reason) => {
      const answer = await fetch(`/my-back-end/token?reason=${reason}`);
      return answer.text();
    },
  });
}
