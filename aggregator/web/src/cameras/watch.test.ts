import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoxStatus, CameraStatus } from "../api/types.ts";
import { boxKey, droppedShare, isBlind, OLD_AFTER_MS, watched, watchOf } from "./watch.ts";

const NOW = Date.parse("2026-11-22T01:00:00Z");
const ago = (ms: number) => new Date(NOW - ms).toISOString();

const camera = (changes: Partial<CameraStatus> = {}): CameraStatus => ({
  site: "s",
  box: "b",
  camera: "c",
  name: "C",
  place: null,
  simulated: false,
  health: "watching",
  reason: null,
  since: null,
  at: ago(1_000),
  retries: 0,
  frames_received: 100,
  frames_analysed: 90,
  frames_dropped: 10,
  analysed_fps: 10,
  time_quality: "rtcp",
  model: null,
  evidence_stream: null,
  box_online: true,
  heard_at: ago(1_000),
  change: 1,
  ...changes,
});
const box = (online: boolean): BoxStatus => ({ site: "s", box: "b", online, version: "", at: null, outbox_waiting: 0, trouble: null, change: 1 });

test("a camera whose last word was 'watching' is silent once its box is gone or the word is old", () => {
  assert.equal(watchOf(camera(), box(true), NOW), "watching");
  assert.equal(watchOf(camera(), box(false), NOW), "silent");
  assert.equal(watchOf(camera({ box_online: false }), undefined, NOW), "silent");
  assert.equal(watchOf(camera({ heard_at: ago(OLD_AFTER_MS + 1) }), box(true), NOW), "silent");
  assert.equal(watchOf(camera({ heard_at: ago(OLD_AFTER_MS - 1) }), box(true), NOW), "watching");
});

test("the newer word of a box goes before what the camera list said", () => {
  assert.equal(watchOf(camera({ box_online: false }), box(true), NOW), "watching");
  assert.equal(watchOf(camera({ box_online: null }), undefined, NOW), "watching");
});

test("a camera stopped on purpose is not called silent", () => {
  assert.equal(watchOf(camera({ health: "stopped", heard_at: ago(OLD_AFTER_MS * 9) }), box(false), NOW), "stopped");
});

test("blind cameras come first, then by name", () => {
  const fleet = [
    camera({ camera: "1", name: "B" }),
    camera({ camera: "2", name: "A" }),
    camera({ camera: "3", name: "Z", health: "lost" }),
    camera({ camera: "4", name: "Y", heard_at: ago(OLD_AFTER_MS * 2) }),
    camera({ camera: "5", name: "X", health: "degraded" }),
  ];
  const boxes = new Map([[boxKey(box(true)), box(true)]]);
  const order = watched(fleet, boxes, NOW);
  assert.deepEqual(order.map(({ status }) => status.name), ["Y", "Z", "X", "A", "B"]);
  assert.equal(order.filter(({ watch }) => isBlind(watch)).length, 2);
});

test("the share of dropped frames has a value only once frames came", () => {
  assert.equal(droppedShare(camera()), 0.1);
  assert.equal(droppedShare(camera({ frames_received: 0, frames_dropped: 0 })), null);
});
