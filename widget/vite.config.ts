/**
 * Builds what the server serves: the web page, with `--mode docs` the page of the API, and with `--mode widget`
 * the browser client as one module. All go into the Python package, so that the wheel and the image contain them.
 */
import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const page: UserConfig = {
  logLevel: "warn",
  root: "page",
  // Relative addresses: the server may be below any path of a site.
  base: "./",
  // Preact has the JSX helpers of React under the same names.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: {
    // Uppy has no option for the units of sizes.
    alias: { "@transloadit/prettier-bytes": here("page/src/bytes.ts") },
  },
  build: {
    outDir: "../../server/page",
    emptyOutDir: true,
    target: "es2022",
    // The page's policy forbids scripts in data: URLs, and separate pictures are cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
    // The server makes pages for people without an account, and finds their scripts here.
    manifest: "build.json",
    rolldownOptions: {
      input: ["page/index.html", "page/src/request.ts"].map(here),
      // How long a slow machine needed says nothing about the page.
      checks: { bundlerTimings: false },
    },
  },
  worker: { format: "es" },
};

/** `/docs`, a build of its own: whoever opens the page loads nothing of it. Its names do not meet the page's. */
const docs: UserConfig = {
  logLevel: "warn",
  root: "page",
  base: "./",
  publicDir: false,
  define: { __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
  build: {
    outDir: "../../server/page",
    emptyOutDir: false,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2048,
    rolldownOptions: { input: fileURLToPath(new URL("page/docs.html", import.meta.url)) },
  },
};

const widget: UserConfig = {
  logLevel: "warn",
  base: "./",
  publicDir: false,
  build: {
    outDir: "../server/page/widget",
    emptyOutDir: true,
    target: "es2022",
    lib: {
      entry: { lading: "src/index.ts", "lading-upload": "src/element.ts" },
      formats: ["es"],
      fileName: (_format, name) => `${name}.js`,
    },
  },
  // Beside the module, under a stable name, so that the module finds the worker.
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "[name].js" } } },
};

const builds: Record<string, UserConfig> = { widget, docs };

export default defineConfig(({ mode }) => builds[mode] ?? page);
