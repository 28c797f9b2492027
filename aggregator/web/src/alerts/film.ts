/** Which pictures of an alert show the same instant. */

import type { EvidenceItem, Instant } from "../api/types.ts";
import { millis } from "../format/time.ts";

export interface StillMoment {
  captured: Instant;
  annotated: string | null;
  clean: string | null;
  /** Seconds after the decision; before it, less than 0. */
  after_s: number;
  /** Of all, the one that is nearest to the decision. */
  isDecided: boolean;
}

/** The instants of which there are pictures here, in their order. */
export function stillMoments(items: readonly EvidenceItem[], decided_at: Instant | null): StillMoment[] {
  const decided = decided_at === null ? null : millis(decided_at);
  const moments = new Map<Instant, StillMoment>();
  for (const item of items) {
    const at = item.captured === null ? null : millis(item.captured);
    if (at === null || decided === null || item.captured === null || !item.available) continue;
    if (item.role !== "still_annotated" && item.role !== "still_clean") continue;
    const moment = moments.get(item.captured) ?? {
      captured: item.captured,
      annotated: null,
      clean: null,
      after_s: (at - decided) / 1000,
      isDecided: false,
    };
    moment[item.role === "still_clean" ? "clean" : "annotated"] ??= item.url;
    moments.set(item.captured, moment);
  }
  const ordered = [...moments.values()].sort((a, b) => a.after_s - b.after_s);
  const nearest = ordered.reduce<StillMoment | null>(
    (best, each) => (best === null || Math.abs(each.after_s) < Math.abs(best.after_s) ? each : best),
    null,
  );
  if (nearest !== null) nearest.isDecided = true;
  return ordered;
}
