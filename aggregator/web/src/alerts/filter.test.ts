import assert from "node:assert/strict";
import { test } from "node:test";
import { routeFrom, searchOf } from "../route.ts";
import { filterFrom, isFiltering, matches, NO_FILTER, toggled, writeFilter, type Filter } from "./filter.ts";
import { sampleAlert } from "./sample.ts";

const FILTERS: Filter[] = [
  NO_FILTER,
  { ...NO_FILTER, kinds: ["red_light", "wrong_way"] },
  { ...NO_FILTER, cameras: ["c-1"], hideSimulated: true },
  { ...NO_FILTER, states: ["new", "resolved"], severities: ["critical", "info"] },
];

test("a route is the same after a walk through the address", () => {
  for (const filter of FILTERS) {
    for (const view of ["alerts", "cameras"] as const) {
      for (const alert of [null, "9f86d081-0000-5000-a000-000000000000"]) {
        const route = { view, alert, filter };
        assert.deepEqual(routeFrom(searchOf(route)), route);
      }
    }
  }
});

test("the address says what the API is asked", () => {
  const parameters = new URLSearchParams();
  writeFilter({ kinds: ["a", "b"], cameras: ["c"], states: ["new"], severities: ["major"], hideSimulated: true }, parameters);
  assert.equal(parameters.toString(), "kind=a%2Cb&camera=c&state=new&severity=major&simulated=false");
  assert.equal(searchOf({ view: "alerts", alert: null, filter: { ...NO_FILTER, kinds: ["a", "b"] } }), "?kind=a,b");
});

test("what an address says wrongly is left out, never guessed", () => {
  const read = (search: string) => filterFrom(new URLSearchParams(search));
  assert.deepEqual(read("state=open,new&severity=bad"), { ...NO_FILTER, states: ["new"] });
  assert.deepEqual(read("camera=../etc,c1&kind=,,"), { ...NO_FILTER, cameras: ["c1"] });
  assert.deepEqual(read("simulated=no"), NO_FILTER);
  assert.deepEqual(read(`kind=${"x".repeat(65)}`), NO_FILTER);
  assert.equal(routeFrom("?view=nonsense&alert=").view, "alerts");
  assert.equal(routeFrom("?alert=").alert, null);
});

test("an alert matches when every part of the filter admits it", () => {
  const alert = sampleAlert({ kind: "red_light", camera: "c1", state: "new", severity: "major", simulated: true });
  for (const [changes, expected] of [
    [{}, true],
    [{ kinds: ["red_light"] }, true],
    [{ kinds: ["wrong_way"] }, false],
    [{ cameras: ["c1", "c2"], states: ["new"] }, true],
    [{ cameras: ["c2"] }, false],
    [{ severities: ["critical"] }, false],
    [{ hideSimulated: true }, false],
  ] as [Partial<Filter>, boolean][]) {
    assert.equal(matches({ ...NO_FILTER, ...changes }, alert), expected, JSON.stringify(changes));
  }
});

test("a filter knows whether it filters, and a switch goes on and off", () => {
  assert.equal(isFiltering(NO_FILTER), false);
  assert.equal(isFiltering({ ...NO_FILTER, hideSimulated: true }), true);
  assert.deepEqual(toggled(["a"], "b"), ["a", "b"]);
  assert.deepEqual(toggled(["a", "b"], "a"), ["b"]);
});
