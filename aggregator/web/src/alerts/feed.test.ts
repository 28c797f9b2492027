import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertSummary } from "../api/types.ts";
import { emptyFeed, feedAfter, MOST_ROWS, neighbour, newestFirst, shownState, type Feed, type FeedAction } from "./feed.ts";
import { NO_FILTER } from "./filter.ts";
import { at, sampleAlert } from "./sample.ts";

const run = (...actions: FeedAction[]): Feed => actions.reduce(feedAfter, emptyFeed(NO_FILTER));
const ids = (feed: Feed) => feed.items.map((alert) => alert.id).join("");
const page = (items: AlertSummary[], next: string | null = null): FeedAction => ({ type: "loaded", page: { items, next } });
const news = (...alerts: AlertSummary[]): FeedAction => ({ type: "news", alerts });
const alert = (id: string, second: number, changes: Partial<AlertSummary> = {}) =>
  sampleAlert({ id, occurred_at: at(second), ...changes });

test("alerts stand newest first, and those of one instant by id, as the centre sorts", () => {
  const feed = run(page([alert("a", 1), alert("c", 2), alert("b", 2)]));
  assert.equal(ids(feed), "cba");
});

test("an alert that arrives live takes its place and counts as unseen", () => {
  const feed = run(page([alert("b", 2), alert("a", 1)]), news(alert("c", 3, { change: 2 })));
  assert.equal(ids(feed), "cba");
  assert.deepEqual([...feed.unseen], ["c"]);
});

test("news that came while the page was on its way is not lost, and not overwritten by the older page", () => {
  const feed = run(
    { type: "reload", filter: NO_FILTER },
    news(alert("c", 3, { change: 7 }), alert("a", 1, { change: 8, state: "acknowledged" })),
    page([alert("b", 2, { change: 5 }), alert("a", 1, { change: 4 })]),
  );
  assert.equal(ids(feed), "cba");
  assert.equal(feed.items[2]?.state, "acknowledged");
  assert.deepEqual([...feed.unseen], ["c"]);
});

test("of two versions the one with the higher change number wins, in whatever order they come", () => {
  const old = alert("a", 1, { change: 1 });
  const young = alert("a", 1, { change: 2, state: "resolved" });
  for (const [first, second] of [
    [old, young],
    [young, old],
  ] as const) {
    assert.equal(run(page([first]), news(second)).items[0]?.state, "resolved");
  }
});

test("a reload replaces what a centre set up anew no longer has", () => {
  const feed = run(page([alert("ghost", 9, { change: 900 })]), { type: "reload", filter: NO_FILTER }, page([alert("a", 1, { change: 2 })]));
  assert.equal(ids(feed), "a");
});

test("an alert older than what is loaded stays out until its page is asked for", () => {
  const loaded = run(page([alert("c", 30), alert("b", 20)], "cursor"));
  const late = feedAfter(loaded, news(alert("a", 10, { change: 5 })));
  assert.equal(ids(late), "cb");
  const more: FeedAction[] = [
    { type: "more" },
    { type: "moreLoaded", page: { items: [alert("a", 10, { change: 5 })], next: null } },
  ];
  assert.equal(ids(more.reduce(feedAfter, late)), "cba");
});

test("an older page that overlaps with news shows no alert twice", () => {
  const feed = run(
    page([alert("c", 3), alert("b", 2)], "cursor"),
    { type: "more" },
    news(alert("b", 2, { change: 9, state: "resolved" })),
    { type: "moreLoaded", page: { items: [alert("b", 2), alert("a", 1)], next: null } },
  );
  assert.equal(ids(feed), "cba");
  assert.equal(feed.items[1]?.state, "resolved");
});

test("a page asked for under the old filter does not enter the new list", () => {
  const filter = { ...NO_FILTER, kinds: ["wrong_way"] };
  const feed = run(
    page([alert("b", 2)], "cursor"),
    { type: "more" },
    { type: "reload", filter },
    { type: "moreLoaded", page: { items: [alert("a", 1)], next: null } },
  );
  assert.equal(ids(feed), "");
});

test("an alert that no longer matches leaves the list, but not while it is being read", () => {
  const start = feedAfter(emptyFeed({ ...NO_FILTER, states: ["new"] }), page([alert("a", 1), alert("b", 2)]));
  const taken = news(alert("a", 1, { change: 5, state: "acknowledged" }));
  assert.equal(ids(feedAfter(start, taken)), "b");
  const reading = [{ type: "opened", id: "a" } as const, taken].reduce(feedAfter, start);
  assert.equal(ids(reading), "ba");
  assert.equal(ids(feedAfter(reading, { type: "opened", id: "b" })), "b");
});

test("a filter that excludes the open alert leaves it in the list until it is closed", () => {
  const start = [page([alert("a", 1), alert("b", 2, { kind: "wrong_way" })]), { type: "opened", id: "a" } as const].reduce(feedAfter, run());
  const filtered = [{ type: "reload", filter: { ...NO_FILTER, kinds: ["wrong_way"] } } as const, page([alert("b", 2, { kind: "wrong_way" })])].reduce(feedAfter, start);
  assert.equal(ids(filtered), "ba");
  assert.equal(ids(feedAfter(filtered, { type: "opened", id: null })), "b");
});

test("what somebody else took or this operator opened is no longer unseen", () => {
  const start = run(page([]), news(alert("a", 1), alert("b", 2), alert("c", 3)));
  assert.equal(start.unseen.size, 3);
  const taken = feedAfter(start, news(alert("a", 1, { change: 9, state: "acknowledged" })));
  assert.deepEqual([...taken.unseen], ["b", "c"]);
  assert.deepEqual([...feedAfter(taken, { type: "opened", id: "b" }).unseen], ["c"]);
  assert.equal(feedAfter(taken, { type: "seen" }).unseen.size, 0);
});

test("an update of an alert seen before does not count as unseen again", () => {
  const feed = run(page([alert("a", 1)]), news(alert("a", 1, { change: 3, revision: 2, machine: "updated" })));
  assert.equal(feed.unseen.size, 0);
});

test("a decision shows at once and goes back when the centre refuses", () => {
  const start = run(page([alert("a", 1)]));
  const [row] = start.items;
  assert.ok(row);
  const deciding = feedAfter(start, { type: "deciding", id: "a", state: "acknowledged" });
  assert.equal(shownState(deciding, row), "acknowledged");
  assert.equal(shownState(feedAfter(deciding, { type: "settled", id: "a", alert: null }), row), "new");
});

test("the centre's answer to a decision loses against a newer change that overtook it", () => {
  const feed = run(
    page([alert("a", 1)]),
    { type: "deciding", id: "a", state: "acknowledged" },
    news(alert("a", 1, { change: 9, state: "resolved" })),
    { type: "settled", id: "a", alert: alert("a", 1, { change: 8, state: "acknowledged" }) },
  );
  assert.equal(feed.items[0]?.state, "resolved");
});

test("news of an open alert that is not in the list still says that it changed", () => {
  const feed = run({ type: "opened", id: "old" }, page([alert("b", 20)], "cursor"), news(alert("old", 1, { change: 44 })));
  assert.equal(feed.openChange, 44);
  assert.equal(feedAfter(feed, { type: "opened", id: "b" }).openChange, 0);
});

test("the list never keeps more than its limit, and says where it ends", () => {
  const many = Array.from({ length: MOST_ROWS + 10 }, (_, n) => alert(String(n).padStart(6, "0"), 1));
  const feed = run(page(many.slice(0, 10), "cursor"), { type: "more" }, { type: "moreLoaded", page: { items: many, next: "more" } });
  assert.equal(feed.items.length, MOST_ROWS);
  assert.equal(feed.next, null);
});

test("j and k step through the list and stop at its ends", () => {
  const { items } = run(page([alert("c", 3), alert("b", 2), alert("a", 1)]));
  for (const [open, step, expected] of [
    [null, 1, "c"],
    [null, -1, "a"],
    ["c", 1, "b"],
    ["a", 1, null],
    ["c", -1, null],
    ["gone", 1, "c"],
  ] as const) {
    assert.equal(neighbour(items, open, step), expected, `${open} ${step}`);
  }
});

test("whatever the order of news, the list is sorted and has no alert twice", () => {
  let seed = 1;
  const chance = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 200; round += 1) {
    const said = Array.from({ length: 30 }, () => alert(String(chance(9)), 0, { change: chance(50) })).map((each) => ({
      ...each,
      occurred_at: at(Number(each.id) % 4),
    }));
    let feed = run({ type: "reload", filter: NO_FILTER });
    const cut = chance(30);
    for (const [index, each] of said.entries()) {
      if (index === cut) feed = feedAfter(feed, page(said.slice(0, 5).filter((a, i, all) => all.findIndex((b) => b.id === a.id) === i)));
      feed = feedAfter(feed, news(each));
    }
    assert.equal(new Set(feed.items.map((each) => each.id)).size, feed.items.length);
    assert.deepEqual(feed.items, [...feed.items].sort(newestFirst));
    for (const item of feed.items) {
      const newest = Math.max(...said.slice(cut).filter((each) => each.id === item.id).map((each) => each.change), -1);
      assert.ok(item.change >= newest, "an older version came back");
    }
  }
});
