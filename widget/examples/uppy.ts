import Uppy from "@uppy/core";
import Lading from "lading/uppy";

/** Files go to your Lading server, each with a grant that your own back end mints for it. */
export function makeUppy(server: string): Uppy {
  return new Uppy().use(Lading, {
    url: server,
    limit: 3,
    forFile: async (file) => {
      const body = JSON.stringify({ name: file.name, size: file.size });
      const answer = await fetch("/my-back-end/grant", { method: "POST", body });
      const { token } = (await answer.json()) as { token: string };
      return { token };
    },
  });
}
