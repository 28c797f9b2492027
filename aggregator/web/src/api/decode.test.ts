import assert from "node:assert/strict";
import { test } from "node:test";
import { alertDetail, alertPage, alertSummary, boxStatus, cameraList, cameraStatus, kindCounts } from "./decode.ts";

const WIRE = {
  id: "e1",
  kind: "hoverboard_on_roof",
  severity: "apocalyptic",
  title: { vi: "Ván bay", en: "Hoverboard" },
  site: "s",
  box: "b",
  camera: "c",
  camera_name: "",
  place: { name: "Phố Huế" },
  occurred_at: "2026-11-22T01:00:00.000000Z",
  state: "shelved",
  machine: "raised",
  revision: 2,
  still_url: "/api/v1/evidence/ab",
  still_clean_url: "//elsewhere.example/x.jpg",
  change: 12,
  from_the_future: { deep: [1] },
};

test("words of a newer centre become the most careful known ones", () => {
  const alert = alertSummary(WIRE);
  assert.equal(alert?.severity, "major");
  assert.equal(alert?.state, "new");
  assert.equal(alert?.kind, "hoverboard_on_roof");
  assert.equal(alert?.camera_name, "c");
});

test("pictures are taken from the centre only", () => {
  const alert = alertSummary(WIRE);
  assert.equal(alert?.still_url, "/api/v1/evidence/ab");
  for (const foreign of ["//elsewhere.example/x", "https://elsewhere.example/x", "/\\elsewhere", "javascript:alert(1)", "x.jpg"]) {
    assert.equal(alertSummary({ ...WIRE, still_url: foreign })?.still_url, null, foreign);
  }
});

test("an item without identity is left out, the others stay", () => {
  const page = alertPage({ items: [{ ...WIRE, id: "" }, WIRE, null, 7, { id: "x" }], next: "" });
  assert.deepEqual(page.items.map((alert) => alert.id), ["e1"]);
  assert.equal(page.next, null);
});

test("the models of second looks are told, and a box that does not say has none", () => {
  const second = [{ model: "ppocr-v4-det", model_digest: "1c" }, { model: "helmets", version: 3, model_digest: "2c", manifest_digest: "2d" }];
  const of = (provenance: unknown) => alertDetail({ ...WIRE, event: { provenance } })?.event.provenance.second;
  assert.deepEqual(of({ agent: "0.1.0", second }), [
    { model: "ppocr-v4-det", version: null, model_digest: "1c", manifest_digest: null },
    { model: "helmets", version: 3, model_digest: "2c", manifest_digest: "2d" },
  ]);
  assert.deepEqual(of({ agent: "0.1.0" }), []);
});

test("each road user has its own plate, with what speaks against it", () => {
  const plate = {
    text: "30A1234",
    display: "30A-1234",
    is_stated: true,
    is_final: false,
    may_be_cut: true,
    characters: [{ symbol: "3", leading: "3", confidence: 0.8, share: 1, looks: 3 }],
    looks: 3,
    of: 4,
    corrections: [{ position: 1, read: "O", taken: "0", cause: "confusable", looks: 1 }],
  };
  const unread = { display: "", is_stated: false, reason: { vi: "chưa đọc", en: "not read" }, looks: 0, of: 1 };
  const actors = [{ track: "a", class: "car", score: 0.9 }, { track: "b", class: "car", score: 0.9, plate }, { track: "c", plate: unread }];
  const plates = alertDetail({ ...WIRE, event: { actors } })?.event.actors.map((actor) => actor.plate);
  assert.deepEqual(plates, [
    null,
    {
      display: "30A-1234",
      is_stated: true,
      may_be_cut: true,
      reason: null,
      looks: 3,
      of: 4,
      characters: [{ leading: "3", confidence: 0.8 }],
      corrections: [{ position: 1, read: "O", taken: "0", looks: 1 }],
    },
    {
      display: "",
      is_stated: false,
      may_be_cut: false,
      reason: { vi: "chưa đọc", en: "not read" },
      looks: 0,
      of: 1,
      characters: [],
      corrections: [],
    },
  ]);
});

test("no nonsense throws", () => {
  for (const nonsense of [undefined, null, 3, "x", [], [[]], {}, { items: {} }, { items: [[], {}, 1] }]) {
    assert.doesNotThrow(() => {
      alertPage(nonsense);
      alertDetail(nonsense);
      alertDetail({ ...WIRE, event: nonsense, evidence: nonsense, history: nonsense });
      alertDetail({ ...WIRE, event: { explanation: [nonsense], actors: [nonsense], facts: nonsense } });
      cameraList(nonsense);
      boxStatus(nonsense);
      kindCounts(nonsense);
    });
  }
});

test("an event is read with its proof", () => {
  const detail = alertDetail({
    ...WIRE,
    event: {
      rule: "r1",
      phase: "start",
      time_quality: "sundial",
      decided: { frame: 12, time: "2026-11-22T01:00:01.000000Z" },
      actors: [{ track: "t", class: "car", score: 0.9, box: [0.1, 0.2, 0.3, 0.4] }, { track: "u", box: [1, 2] }],
      facts: { speed_kmh: 12.5, is_bus: false },
      explanation: [
        {
          name: "dwell",
          label: { vi: "Đứng yên", en: "Dwell" },
          value: 65,
          comparison: ">=",
          threshold: 60,
          margin: 5,
          unit: "s",
          holds: true,
          first: { frame: 1, time: "2026-11-22T01:00:00.000000Z" },
          last: { frame: 9, time: "2026-11-22T01:00:01.000000Z" },
        },
        { name: "bare", label: "cùng một chữ", value: null, comparison: "~", threshold: "red" },
      ],
    },
    evidence: [{ role: "hologram", sha256: "ff", length: 3, media_type: "x/y", available: true, url: "/api/v1/evidence/ff" }, { role: "clip" }],
    history: [{ at: "2026-11-22T01:00:02.000000Z", actor: "An", action: "acknowledge" }, {}],
  });
  assert.ok(detail);
  assert.equal(detail.event.time_quality, "unknown");
  assert.deepEqual(detail.event.actors.map((actor) => actor.bounds), [[0.1, 0.2, 0.3, 0.4], null]);
  assert.deepEqual(detail.event.facts, [["speed_kmh", 12.5], ["is_bus", false]]);
  assert.equal(detail.event.explanation[0]?.margin, 5);
  assert.equal(detail.event.explanation[1]?.margin, null);
  assert.equal(detail.event.explanation[1]?.label.en, "cùng một chữ");
  assert.deepEqual(detail.evidence.map((item) => item.role), ["other"]);
  assert.equal(detail.history.length, 1);
});

test("the time the centre heard a camera goes before the camera's own clock", () => {
  const camera = cameraStatus({ camera: "c", at: "2026-11-22T01:00:00Z", received_at: "2026-11-22T01:00:05Z", box_online: false });
  assert.equal(camera?.heard_at, "2026-11-22T01:00:05Z");
  assert.equal(camera?.box_online, false);
  assert.equal(cameraStatus({ camera: "c", at: "2026-11-22T01:00:00Z" })?.heard_at, "2026-11-22T01:00:00Z");
});

test("kinds are counted whether the centre splits them by state or not", () => {
  for (const items of [
    [{ kind: "a", count: 5 }],
    [{ kind: "a", states: { new: 2, resolved: 3 } }],
    [{ kind: "a", state: "new", count: 2 }, { kind: "a", state: "resolved", count: 3 }],
    [{ kind: "a", count: 5, states: { new: 2, resolved: 3 } }],
  ]) {
    assert.deepEqual(kindCounts({ items }), [{ kind: "a", count: 5 }]);
  }
});
