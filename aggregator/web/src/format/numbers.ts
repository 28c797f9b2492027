/** Numbers and values for people, by Intl: a Vietnamese reader expects `12,5 km/h`. */

import type { Comparison, Predicate, Value } from "../api/types.ts";
import type { Dictionary, KnownUnit, KnownWord, Language } from "../i18n/dictionary.ts";
import { LOCALES } from "./time.ts";

const cache = new Map<string, Intl.NumberFormat>();

export function numberText(value: number, language: Language, options: Intl.NumberFormatOptions = {}): string {
  const key = `${language} ${JSON.stringify(options)}`;
  let format = cache.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(LOCALES[language], { maximumFractionDigits: 3, ...options });
    cache.set(key, format);
  }
  return format.format(value);
}

/** A number with its unit; degrees and percent stand close, as both languages write them. */
export function quantity(value: number, unit: string, language: Language): string {
  const digits = numberText(value, language);
  if (unit === "") return digits;
  return unit === "°" || unit === "%" ? `${digits}${unit}` : `${digits}\u00a0${unit}`;
}

/** A unit's symbol; in the reader's language where it is a word. */
export function unitText(unit: string, dictionary: Dictionary): string {
  return Object.hasOwn(dictionary.units, unit) ? dictionary.units[unit as KnownUnit] : unit;
}

/** A rule's value; words that the dictionary knows (colours, classes) in the reader's language. */
export function valueText(value: Value, unit: string, language: Language, dictionary: Dictionary): string {
  if (typeof value === "number") return quantity(value, unitText(unit, dictionary), language);
  if (typeof value === "boolean") return value ? dictionary.yes : dictionary.no;
  return Object.hasOwn(dictionary.words, value) ? dictionary.words[value as KnownWord] : value;
}

export const COMPARISON_SIGNS: Record<Comparison, string> = { ">=": "≥", ">": ">", "<=": "≤", "<": "<", "=": "=" };

/**
 * How far past its threshold a predicate was, from −1 (far on the other side)
 * to 1 (as far again as the threshold, or further); null for words.
 */
export function marginShare({ margin, threshold }: Pick<Predicate, "margin" | "threshold">): number | null {
  if (margin === null) return null;
  if (margin === 0) return 0;
  const scale = typeof threshold === "number" ? Math.abs(threshold) : 0;
  return scale === 0 ? Math.sign(margin) : Math.max(-1, Math.min(1, margin / scale));
}

/** `1,4 MB`, in powers of ten as storage is sold and `ls -h --si` prints. */
export function byteSize(bytes: number, language: Language): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${numberText(value, language, { maximumFractionDigits: unit === 0 ? 0 : 1 })}\u00a0${units[unit] ?? "B"}`;
}
