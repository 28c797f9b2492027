/** Which language to speak: `?lang=`, else what was chosen before, else Vietnamese. */

import { LANGUAGES, type Dictionary, type Language } from "./dictionary.ts";
import { en } from "./en.ts";
import { vi } from "./vi.ts";
import { humanised } from "../format/facts.ts";
import type { AlertSummary, Words } from "../api/types.ts";

export const DICTIONARIES: Record<Language, Dictionary> = { vi, en };

export function languageFrom(asked: string | null, remembered: string | null): Language {
  for (const wish of [asked, remembered]) {
    const known = LANGUAGES.find((language) => language === wish);
    if (known !== undefined) return known;
  }
  return "vi";
}

/** A word of the wire in the reader's language; the word itself, made readable, when no dictionary has it. */
export function translated(table: Readonly<Record<string, string>>, code: string): string {
  return Object.hasOwn(table, code) ? (table[code] ?? code) : humanised(code);
}

export function isKnownKind(dictionary: Dictionary, kind: string): boolean {
  return Object.hasOwn(dictionary.kinds, kind);
}

export function inLanguage(words: Words, language: Language): string {
  return words[language];
}

/**
 * The name of a kind. For one that the screen has never heard of, the title of
 * an event of that kind says it better than its code.
 */
export function kindName(
  kind: string,
  example: Pick<AlertSummary, "title"> | undefined,
  dictionary: Dictionary,
  language: Language,
): string {
  if (isKnownKind(dictionary, kind) || example === undefined) return translated(dictionary.kinds, kind);
  return inLanguage(example.title, language);
}
