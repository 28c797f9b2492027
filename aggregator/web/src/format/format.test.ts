import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../i18n/en.ts";
import { vi } from "../i18n/vi.ts";
import { factName, humanised } from "./facts.ts";
import { byteSize, marginShare, quantity, valueText } from "./numbers.ts";
import { age, clockTime, day, frameClock, fullTime, HOME_ZONE, isSameDay, knownZone, millis, offsetOf } from "./time.ts";

const VI = { language: "vi", zone: HOME_ZONE } as const;
const plain = (text: string | null) => text?.replaceAll("\u00a0", " ");

test("times are of the place, with the offset, whatever this machine's zone is", () => {
  const instant = "2026-11-22T01:02:03.045678Z";
  assert.equal(clockTime(instant, VI), "08:02:03");
  assert.equal(day(instant, VI), "22/11/2026");
  assert.equal(fullTime(instant, VI), "22/11/2026 08:02:03 UTC+07:00");
  assert.equal(frameClock(instant, VI), "08:02:03.045");
  assert.equal(clockTime("2026-11-21T17:00:00.000000Z", VI), "00:00:00", "midnight is not 24:00:00");
  assert.equal(clockTime("nonsense", VI), "–");
  assert.equal(millis("nonsense"), null);
});

test("offsets are written as ISO 8601 has them", () => {
  const winter = Date.UTC(2026, 0, 1);
  for (const [zone, offset] of [
    [HOME_ZONE, "UTC+07:00"],
    ["UTC", "UTC+00:00"],
    ["America/New_York", "UTC-05:00"],
    ["Asia/Kolkata", "UTC+05:30"],
  ] as const) {
    assert.equal(offsetOf(winter, zone), offset);
  }
});

test("a zone the browser does not know falls back to the home zone", () => {
  assert.equal(knownZone("Mars/Olympus"), HOME_ZONE);
  assert.equal(knownZone(null), HOME_ZONE);
  assert.equal(knownZone("UTC"), "UTC");
});

test("today is the place's today", () => {
  const lateEvening = Date.parse("2026-11-22T16:59:00Z"); // 23:59 in Hanoi
  const pastMidnight = Date.parse("2026-11-22T17:01:00Z");
  assert.equal(isSameDay(lateEvening, pastMidnight, HOME_ZONE), false);
  assert.equal(isSameDay(lateEvening, pastMidnight, "UTC"), true);
});

test("ages are in the largest fitting unit; a clip's media time has none", () => {
  const now = Date.parse("2026-11-22T02:00:00Z");
  const ago = (seconds: number) => age(now - seconds * 1000, now, "en");
  assert.equal(ago(59), "59 sec ago");
  assert.equal(ago(61), "1 min ago");
  assert.equal(ago(7_300), "2 hr ago");
  assert.equal(ago(-30), "now", "a clock slightly ahead does not make the future");
  assert.equal(age(0, now, "en"), null);
  assert.match(age(now - 5_000, now, "vi") ?? "", /5 giây trước/);
});

test("numbers speak the reader's language and keep their unit", () => {
  assert.equal(plain(quantity(12.5, "km/h", "vi")), "12,5 km/h");
  assert.equal(plain(quantity(12.5, "km/h", "en")), "12.5 km/h");
  assert.equal(quantity(159.4, "°", "vi"), "159,4°");
  assert.equal(quantity(3, "", "en"), "3");
  assert.equal(plain(valueText(2.1, "box heights", "vi", vi)), "2,1 lần cao khung");
  assert.equal(valueText(true, "", "vi", vi), "có");
  assert.equal(valueText("red", "", "vi", vi), "đỏ");
  assert.equal(valueText("lane-2", "", "vi", vi), "lane-2");
  assert.equal(valueText("constructor", "", "en", en), "constructor", "no word is found on the prototype");
  assert.equal(plain(byteSize(312_900, "vi")), "312,9 kB");
  assert.equal(plain(byteSize(999, "en")), "999 B");
});

test("the margin's bar shows how far past the threshold, either way", () => {
  for (const [margin, threshold, share] of [
    [5, 60, 5 / 60],
    [90, 60, 1],
    [-30, 60, -0.5],
    [0, 60, 0],
    [2, 0, 1],
    [0, 0, 0],
    [null, "red", null],
    [0.4, -2, 0.2],
  ] as const) {
    assert.equal(marginShare({ margin, threshold }), share, `${margin} of ${threshold}`);
  }
});

test("a fact's unit comes from its key", () => {
  for (const [key, stem, unit] of [
    ["dwell_s", "dwell", "s"],
    ["speed_kmh", "speed", "km/h"],
    ["distance_m", "distance", "m"],
    ["heading_deviation_deg", "heading_deviation", "°"],
    ["acceleration_m_per_s2", "acceleration", "m/s²"],
    ["class", "class", ""],
    ["_s", "_s", ""],
    ["bus", "bus", ""],
  ] as const) {
    assert.deepEqual(factName(key), { stem, unit }, key);
  }
  assert.equal(humanised("lane_change-late"), "Lane change late");
  assert.equal(humanised("___"), "___");
});
