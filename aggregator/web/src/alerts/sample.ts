/** Alerts for tests. */

import type { AlertSummary } from "../api/types.ts";

export function sampleAlert(changes: Partial<AlertSummary> = {}): AlertSummary {
  return {
    id: "a",
    kind: "red_light",
    severity: "major",
    title: { vi: "Vượt đèn đỏ", en: "Ran a red light" },
    site: "ha-noi",
    box: "b1",
    camera: "c1",
    camera_name: "C 1",
    place: null,
    occurred_at: "2026-11-22T01:00:00.000000Z",
    decided_at: null,
    received_at: null,
    ended_at: null,
    state: "new",
    machine: "raised",
    revision: 1,
    simulated: false,
    zone: null,
    still_url: null,
    still_clean_url: null,
    lock: null,
    change: 1,
    ...changes,
  };
}

/** An instant `second` seconds after one o'clock UTC. */
export function at(second: number): string {
  return new Date(Date.UTC(2026, 10, 22, 1, 0, second)).toISOString().replace("Z", "000Z");
}
