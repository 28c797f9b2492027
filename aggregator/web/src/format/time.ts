/**
 * Times for people. The centre writes UTC; the operator reads the wall clock of
 * the place where it happened, always with its offset, because a statement of
 * when a violation happened that leaves the zone to be guessed is no statement.
 */

import type { Instant } from "../api/types.ts";
import type { Language } from "../i18n/dictionary.ts";

export const HOME_ZONE = "Asia/Ho_Chi_Minh";

/** The Intl tag of a language. */
export const LOCALES: Record<Language, string> = { vi: "vi-VN", en: "en-GB" };

/** Milliseconds since 1970, or null for text that is no time. */
export function millis(instant: Instant | null): number | null {
  if (instant === null) return null;
  const ms = Date.parse(instant);
  return Number.isNaN(ms) ? null : ms;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(language: Language, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language} ${zone} ${JSON.stringify(options)}`;
  let made = formatters.get(key);
  if (made === undefined) {
    made = new Intl.DateTimeFormat(LOCALES[language], { timeZone: zone, ...options });
    formatters.set(key, made);
  }
  return made;
}

/** The zone's offset at that time, for example `UTC+07:00`. */
export function offsetOf(ms: number, zone: string): string {
  const parts = formatter("en", zone, { timeZoneName: "longOffset" }).formatToParts(ms);
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? "GMT";
  return name === "GMT" ? "UTC+00:00" : name.replace("GMT", "UTC");
}

/** A zone that this browser knows; the home zone for one that it does not. */
export function knownZone(zone: string | null): string {
  if (zone === null || zone === "") return HOME_ZONE;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return HOME_ZONE;
  }
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit" };

export interface Clock {
  language: Language;
  zone: string;
}

/** `08:01:02` */
export function clockTime(instant: Instant | null, { language, zone }: Clock): string {
  const ms = millis(instant);
  return ms === null ? "–" : formatter(language, zone, CLOCK).format(ms);
}

/** `08:01:02.345`, for frames. */
export function frameClock(instant: Instant | null, { zone }: Clock): string {
  const ms = millis(instant);
  return ms === null ? "–" : `${formatter("en", zone, CLOCK).format(ms)}.${String(((ms % 1000) + 1000) % 1000).padStart(3, "0")}`;
}

/** `22/11/2026` */
export function day(instant: Instant | null, { language, zone }: Clock): string {
  const ms = millis(instant);
  return ms === null ? "–" : formatter(language, zone, DAY).format(ms);
}

/** `22/11/2026 08:01:02 UTC+07:00` */
export function fullTime(instant: Instant | null, clock: Clock): string {
  const ms = millis(instant);
  return ms === null ? "–" : `${day(instant, clock)} ${clockTime(instant, clock)} ${offsetOf(ms, clock.zone)}`;
}

/** Whether two times fall on one calendar day in the zone. */
export function isSameDay(a: number, b: number, zone: string): boolean {
  const on = formatter("en", zone, DAY);
  return on.format(a) === on.format(b);
}

const YEAR_MS = 365 * 86_400_000;

/**
 * How long ago, in the largest fitting unit; null when the time says nothing
 * about now (media time of a recorded clip counts from 1970).
 */
export function age(ms: number, now: number, language: Language): string | null {
  const passed = now - ms;
  if (passed > 20 * YEAR_MS) return null;
  const seconds = Math.max(0, Math.floor(passed / 1000));
  const relative = new Intl.RelativeTimeFormat(LOCALES[language], { numeric: "auto", style: "short" });
  if (seconds < 60) return relative.format(-seconds, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86_400), "day");
}
