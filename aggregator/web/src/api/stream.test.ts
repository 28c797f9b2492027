/** The live stream against a real HTTP server that misbehaves in the ways networks do. */

import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { openStream, retryDelay, type Connection, type News } from "./stream.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, visit: number) => void;

interface Heard {
  news: News[];
  phases: Connection["phase"][];
  requests: (string | undefined)[];
  until: (what: string, holds: () => boolean) => Promise<void>;
}

const EVENTS = { "Content-Type": "text/event-stream" };

async function listen(t: TestContext, answer: Answer): Promise<Heard> {
  const requests: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    requests.push(request.headers["last-event-id"]?.toString());
    answer(request, response, requests.length);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const heard: Pick<Heard, "news" | "phases"> = { news: [], phases: [] };
  let wake = () => {};
  const stream = openStream({
    url: `http://127.0.0.1:${port}/stream`,
    onNews: (news) => {
      heard.news.push(news);
      wake();
    },
    onConnection: ({ phase }) => {
      heard.phases.push(phase);
      wake();
    },
    firstRetryMs: 5,
    longestRetryMs: 20,
    silentAfterMs: 150,
  });
  t.after(async () => {
    stream.close();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const until = async (what: string, holds: () => boolean) => {
    const deadline = Date.now() + 5_000;
    while (!holds()) {
      if (Date.now() > deadline) assert.fail(`never happened: ${what}; heard ${JSON.stringify(heard)}`);
      await new Promise<void>((done) => {
        wake = done;
        setTimeout(done, 50);
      });
    }
  };
  return { ...heard, requests, until };
}

test("events are read with their names, and a broken line resumes after the last id", async (t) => {
  const heard = await listen(t, (_, response, visit) => {
    response.writeHead(200, EVENTS);
    if (visit === 1) response.end('id: 41\nevent: alert\ndata: {"id":"a"}\n\nid: 42\nevent: box\ndata: {"box":"b"}\n\n');
    else response.write('id: 43\nevent: camera\ndata: {"camera":"c"}\n\n');
  });
  await heard.until("three events", () => heard.news.length === 3);
  assert.deepEqual(heard.news, [
    { event: "alert", data: { id: "a" } },
    { event: "box", data: { box: "b" } },
    { event: "camera", data: { camera: "c" } },
  ]);
  assert.deepEqual(heard.requests.slice(0, 2), [undefined, "42"]);
  assert.deepEqual(heard.phases.slice(0, 4), ["connecting", "live", "reconnecting", "live"]);
});

test("an HTTP error is not the end: it tries again until the centre is there", async (t) => {
  const heard = await listen(t, (_, response, visit) => {
    if (visit < 4) response.writeHead(503, { "Content-Type": "application/problem+json" }).end("{}");
    else response.writeHead(200, EVENTS).write(": hello\n\n");
  });
  await heard.until("live", () => heard.phases.includes("live"));
  assert.deepEqual(heard.phases, ["connecting", "reconnecting", "reconnecting", "reconnecting", "live"]);
});

test("a page instead of a stream (a proxy's login) is not taken for one", async (t) => {
  const heard = await listen(t, (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>"));
  await heard.until("two attempts", () => heard.requests.length >= 2);
  assert.ok(!heard.phases.includes("live"));
});

test("a line that says nothing is dead, though nobody closed it", async (t) => {
  const heard = await listen(t, (_, response) => {
    response.writeHead(200, EVENTS).write(": hello\n\n");
  });
  await heard.until("a second connection", () => heard.requests.length >= 2);
  assert.ok(heard.phases.includes("reconnecting"));
});

test("comments keep a quiet line alive", async (t) => {
  const heard = await listen(t, (request, response) => {
    response.writeHead(200, EVENTS);
    const beat = setInterval(() => response.write(": alive\n\n"), 20);
    request.on("close", () => clearInterval(beat));
  });
  await heard.until("live", () => heard.phases.includes("live"));
  const later = Date.now() + 400; // well beyond silentAfterMs
  await heard.until("some time", () => Date.now() > later);
  assert.deepEqual(heard.phases, ["connecting", "live"]);
});

test("data that is not JSON is passed over, letters cut between chunks are not", async (t) => {
  const line = Buffer.from('id: 2\nevent: alert\ndata: {"title":"Ngã Tư Sở"}\n\n');
  const heard = await listen(t, (_, response) => {
    response.writeHead(200, EVENTS);
    response.write("id: 1\nevent: alert\ndata: {broken\n\n");
    const cut = line.indexOf(0xe1) + 1; // inside a letter of three bytes
    response.write(line.subarray(0, cut));
    setTimeout(() => response.write(line.subarray(cut)), 20);
  });
  await heard.until("the good event", () => heard.news.length > 0);
  assert.deepEqual(heard.news, [{ event: "alert", data: { title: "Ngã Tư Sở" } }]);
});

test("waits double up to a ceiling, and never all at once", () => {
  assert.deepEqual([1, 2, 3, 4, 9, 1000].map((n) => retryDelay(n, 500, 15_000, () => 1)), [500, 1000, 2000, 4000, 15_000, 15_000]);
  assert.equal(retryDelay(1, 500, 15_000, () => 0), 250);
});
