/**
 * Builds what the server serves: the web page, and with `--mode widget` the browser client as one module.
 * Both go into the Python package, so that the wheel and the image contain them.
 */
import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const page: UserConfig = {
  logLevel: "warn",
  root: "page",
  // Relative addresses: the server may be below any path of a site.
  base: "./",
  // Preact has the JSX helpers of React under the same names.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: {
    // Uppy has no option for the units of sizes.
    alias: { "@transloadit/prettier-bytes": fileURLToPath(new URL("page/src/bytes.ts", import.meta.url)) },
  },
  build: {
    outDir: "../../server/page",
    emptyOutDir: true,
    target: "es2022",
    // The page's policy forbids scripts in data: URLs, and separate pictures are cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
  },
  worker: { format: "es" },
};

const widget: UserConfig = {
  logLevel: "warn",
  base: "./",
  publicDir: false,
  build: {
    outDir: "../server/page/widget",
    emptyOutDir: true,
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "lading.js" },
  },
  // Beside the module, under a stable name, so that the module finds the worker.
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "[name].js" } } },
};

export default defineConfig(({ mode }) => (mode === "widget" ? widget : page));
