/** The web page in a real Chromium, against real servers; `e2e/world.ts` starts those. */
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "e2e",
  outputDir: "dist/e2e",
  // Far above what anything takes on an idle machine.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  workers: 2,
  fullyParallel: true,
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
  use: {
    actionTimeout: 30_000,
    locale: "en-GB",
    timezoneId: "UTC",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // Nothing of Chromium's own goes to the network.
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // Another machine, as far as the browser knows.
        "--host-resolver-rules=MAP lan.example 127.0.0.1",
      ],
    },
  },
});
