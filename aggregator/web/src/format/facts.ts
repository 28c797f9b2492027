/**
 * Facts of an event: the rule writes `{ "dwell_s": 12.4 }`, people read
 * "Thời gian đứng yên: 12,4 s". The unit is in the key, by the protocol.
 */

/** Suffixes by the protocol's convention; the longest that fits wins. */
const UNITS: readonly (readonly [suffix: string, symbol: string])[] = [
  ["_m_per_s2", "m/s²"],
  ["_m_per_s", "m/s"],
  ["_kmh", "km/h"],
  ["_percent", "%"],
  ["_degrees", "°"],
  ["_deg", "°"],
  ["_fps", "fps"],
  ["_pct", "%"],
  ["_km", "km"],
  ["_ms", "ms"],
  ["_hz", "Hz"],
  ["_m", "m"],
  ["_s", "s"],
];

export interface FactName {
  /** The key without its unit. */
  stem: string;
  /** Symbol of the unit; empty for none. */
  unit: string;
}

export function factName(key: string): FactName {
  for (const [suffix, symbol] of UNITS) {
    if (key.length > suffix.length && key.endsWith(suffix)) return { stem: key.slice(0, -suffix.length), unit: symbol };
  }
  return { stem: key, unit: "" };
}

/** A code as words, for names that no dictionary has: `lane_change` → `Lane change`. */
export function humanised(code: string): string {
  const words = code.replaceAll(/[_-]+/g, " ").trim();
  return words === "" ? code : words.charAt(0).toUpperCase() + words.slice(1);
}
