/**
 * Cameras and boxes as a value: a list from the centre and news from the
 * stream go in, the newest word of each comes out.
 *
 * Age is told by the centre's change numbers, never by the boxes' clocks, which
 * may step back. A reload replaces everything older than its question, so what
 * the centre has forgotten disappears here as well.
 */

import type { Problem } from "../api/problem.ts";
import type { BoxStatus, CameraStatus } from "../api/types.ts";
import { boxKey, cameraKey } from "./watch.ts";

export interface FleetNews {
  cameras: readonly CameraStatus[];
  boxes: readonly BoxStatus[];
}

export interface Fleet {
  cameras: ReadonlyMap<string, CameraStatus>;
  boxes: ReadonlyMap<string, BoxStatus>;
  phase: "loading" | "ready" | "failed";
  problem: Problem | null;
  /** News that came while a list was on its way. */
  news: readonly FleetNews[];
}

export const EMPTY_FLEET: Fleet = { cameras: new Map(), boxes: new Map(), phase: "loading", problem: null, news: [] };

export type FleetAction =
  | { type: "reload" }
  | { type: "loaded"; list: FleetNews }
  | { type: "failed"; problem: Problem }
  | { type: "news"; news: FleetNews };

function latest<T extends { change: number }>(known: ReadonlyMap<string, T>, heard: readonly T[], key: (item: T) => string) {
  const merged = new Map(known);
  for (const item of heard) {
    const before = merged.get(key(item));
    if (before === undefined || before.change <= item.change) merged.set(key(item), item);
  }
  return merged;
}

const told = (fleet: Fleet, { cameras, boxes }: FleetNews): Fleet => ({
  ...fleet,
  cameras: latest(fleet.cameras, cameras, cameraKey),
  boxes: latest(fleet.boxes, boxes, boxKey),
});

export function fleetAfter(fleet: Fleet, action: FleetAction): Fleet {
  switch (action.type) {
    case "reload":
      return { ...fleet, phase: "loading", news: [] };
    case "loaded":
      return [action.list, ...fleet.news].reduce(told, { ...EMPTY_FLEET, phase: "ready" });
    case "failed":
      return { ...fleet, phase: "failed", problem: action.problem };
    case "news": {
      const news = fleet.phase === "loading" ? [...fleet.news, action.news] : fleet.news;
      return told({ ...fleet, news }, action.news);
    }
  }
}
