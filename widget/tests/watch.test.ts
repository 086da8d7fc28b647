import { expect, test, vi } from "vitest";

import { type Change, watch } from "../src/watch.js";

const FILE = { _id: "a", name: "a.txt" };

/** A server whose streams are these texts, each cut into single bytes; then it refuses. */
function server(...streams: (string | number)[]) {
  const asked: Headers[] = [];
  const fetch = ((_url: string, init: RequestInit) => {
    asked.push(new Headers(init.headers));
    const next = streams.shift() ?? 403;
    if (typeof next === "number") return Promise.resolve(new Response("", { status: next }));
    const bytes = new TextEncoder().encode(next);
    const body = new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    return Promise.resolve(new Response(body));
  }) as typeof globalThis.fetch;
  return { asked, fetch };
}

async function changes(site: ReturnType<typeof server>, token?: () => string) {
  const heard: Change[] = [];
  const error = await new Promise<{ code: string }>((onError) => {
    const sleep = () => Promise.resolve();
    watch((each) => heard.push(each), { url: "http://a.test", fetch: site.fetch, token, sleep, onError });
  });
  return { heard, error };
}

test("changes are told, and a lost stream goes on behind the last event that came whole", async () => {
  const site = server(
    `retry: 2000\n\nid: 1\n\nevent: file.changed\ndata: ${JSON.stringify(FILE)}\n\nid: 2\n\nevent: resync\nda`,
    503,
    "event: resync\ndata: {}\n\n",
  );
  const { heard, error } = await changes(site);
  expect(heard).toEqual([
    { type: "file.changed", data: FILE },
    { type: "resync", data: {} },
  ]);
  expect(site.asked.map((each) => each.get("Last-Event-ID"))).toEqual([null, "2", "2", "2"]);
  expect(error.code).toBe("forbidden");
});

test("a token is renewed once in a row", async () => {
  let drawn = 0;
  const site = server(401, "id: 1\n\n", 401, 401);
  const { error } = await changes(site, () => `t${++drawn}`);
  expect(site.asked.map((each) => each.get("Authorization"))).toEqual(
    ["t1", "t2", "t2", "t3"].map((each) => `Bearer ${each}`),
  );
  expect(error.code).toBe("unauthorized");
});

test("whoever ends it hears no more", async () => {
  const heard: Change[] = [];
  let asked = 0;
  const fetch = (() => {
    asked += 1;
    return Promise.resolve(new Response("event: resync\ndata: {}\n\nevent: resync\ndata: {}\n\n"));
  }) as typeof globalThis.fetch;
  await new Promise<void>((resolve) => {
    const end = watch(
      (each) => {
        heard.push(each);
        end();
        resolve();
      },
      { url: "http://a.test", fetch },
    );
  });
  await Promise.resolve();
  expect([heard.length, asked]).toEqual([1, 1]);
});

test("a stream only for a visible page is held while it is visible, and goes on where it was", async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const turn = (visibilityState: string) => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  vi.stubGlobal("document", page);
  const asked: RequestInit[] = [];
  const fetch = ((_url: string, init: RequestInit) => {
    asked.push(init);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("id: 7\n\nevent: resync\ndata: {}\n\n"));
        init.signal?.addEventListener("abort", () => controller.error(new DOMException("", "AbortError")));
      },
    });
    return Promise.resolve(new Response(body));
  }) as typeof globalThis.fetch;
  const heard: Change[] = [];
  const end = watch((each) => heard.push(each), { url: "http://a.test", fetch, onlyVisible: true });
  turn("hidden");
  expect(asked).toEqual([]);
  turn("visible");
  await vi.waitFor(() => expect(heard.length).toBe(1));
  turn("hidden");
  expect(asked.map(({ signal }) => signal?.aborted)).toEqual([true]);
  turn("visible");
  await vi.waitFor(() => expect(heard.length).toBe(2));
  end();
  // Hidden from the beginning, it may know something old.
  const ids = asked.map(({ headers }) => new Headers(headers).get("Last-Event-ID"));
  expect(ids).toEqual(["0", "7"]);
  vi.unstubAllGlobals();
});
