/**
 * 50,000 files in one library: the requests until the first grid, and the frames while somebody scrolls, as the
 * browser's own tracing counts them. A long trial, with FIFTY_THOUSAND=1 in the environment, on a machine at rest.
 */

import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { CDPSession } from "@playwright/test";
import { expect, test } from "./world.js";

// It measures, so it needs a machine at rest: nothing for a run of all tests, where two share the cores.
test.skip(process.env["FIFTY_THOUSAND"] !== "1", "only when FIFTY_THOUSAND=1 asks for it");

const COUNT = 50_000;
/** Pixels that are scrolled, and pixels a second: a fast wheel. */
const [WAY, SPEED] = [60_000, 4_000];

interface TraceEvent {
  name: string;
  ph: string;
  ts: number;
  id2?: { local?: string };
  args: { frame_reporter?: { state?: string; frame_type?: string } };
}

/** What the tracing saw while something ran. */
async function traced(session: CDPSession, work: () => Promise<void>): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  const complete = new Promise<void>((done) => session.once("Tracing.tracingComplete", () => done()));
  await session.send("Tracing.start", { traceConfig: { includedCategories: ["cc", "benchmark", "devtools.timeline"] } });
  await work();
  await session.send("Tracing.end");
  await complete;
  return events;
}

test("50,000 files: the first grid and the frames", async ({ library, page, server, network }) => {
  test.slow();
  await server.put("model.jpg", "x", "image/jpeg");
  const root = resolve(import.meta.dirname, "../..");
  await promisify(execFile)(join(root, ".venv/bin/python"), ["-m", "tests.support.copies", server.data, String(COUNT)], { cwd: root });

  const requests: string[] = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await page.goto("about:blank");
  requests.length = 0;
  await page.goto(`${network.url}/`);
  await expect(library.page.locator(".card").first()).toBeVisible();
  // Beside these the pictures of the cards in view, one by one, over what the list has of them.
  const first = requests.filter((path) => !/^\/v1\/files\/[0-9a-f]+\/\d$/.test(path));
  console.log(`${first.length} requests until the first grid: ${first.join(" ")}`);
  expect(first.length).toBeLessThanOrEqual(10);

  const searched = page.waitForResponse((answer) => answer.url().includes("search=49999"));
  await page.getByLabel("Search by name").fill("49999");
  await (await searched).finished();
  console.log(`a search among ${COUNT} names: ${(await searched).request().timing().responseEnd.toFixed(0)} ms`);
  await expect(page.locator(".card-name")).toHaveText(["IMG_49999.jpg"]);
  await page.getByLabel("Search by name").fill("");
  await expect(page.getByText("and more")).toBeVisible();

  const session = await page.context().newCDPSession(page);
  const events = await traced(session, async () => {
    await session.send("Input.synthesizeScrollGesture", { x: 900, y: 500, yDistance: -WAY, speed: SPEED, preventFling: true });
  });
  const states = new Map<string, number>();
  for (const { name, ph, args } of events) {
    const { state = "?", frame_type } = args.frame_reporter ?? {};
    // A forked report is the late part of a frame that is counted already.
    if (name !== "PipelineReporter" || ph !== "b" || frame_type === "FORKED") continue;
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  const presented = [...states].filter(([state]) => state.startsWith("STATE_PRESENTED")).reduce((sum, [, count]) => sum + count, 0);
  // Where nothing was to be drawn, as while the next page is on its way, there is no frame to count.
  const rate = (60 * presented) / (presented + (states.get("STATE_DROPPED") ?? 0));
  console.log(`${rate.toFixed(1)} of 60 frames; ${JSON.stringify(Object.fromEntries(states))}`);
  expect(await page.evaluate(() => window.scrollY)).toBeGreaterThan(WAY / 2);
  expect(await page.locator(".card").count()).toBeLessThan(100);
  expect(rate).toBeGreaterThan(55);
});
