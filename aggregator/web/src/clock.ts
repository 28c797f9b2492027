/**
 * The centre's clock, as far as its `Date` headers tell it.
 *
 * Ages and "silent since" are differences to times that the centre and the
 * boxes wrote; on an operator's computer whose clock is minutes off they would
 * be lies. Offsets below two seconds are the header's own resolution and the
 * way here, and are left alone.
 */

import { useSyncExternalStore } from "react";

let offset = 0;

export function heardDate(header: string | null): void {
  const said = header === null ? NaN : Date.parse(header);
  if (Number.isNaN(said)) return;
  const difference = said - Date.now();
  offset = Math.abs(difference) < 2_000 ? 0 : difference;
}

/** Milliseconds since 1970. */
export function centreNow(): number {
  return Date.now() + offset;
}

const TICK_MS = 5_000;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let tick = centreNow();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === null) {
    tick = centreNow();
    timer = setInterval(() => {
      tick = centreNow();
      for (const each of listeners) each();
    }, TICK_MS);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** The time, renewed every five seconds; one timer for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => tick);
}
