/**
 * What this operator chose, remembered by this browser: language, theme, time
 * zone, name. Where the browser refuses to remember (private windows, full
 * storage) the choice holds until the page is closed.
 */

import { useSyncExternalStore } from "react";
import { knownZone } from "./format/time.ts";
import { languageFrom } from "./i18n/language.ts";
import type { Language } from "./i18n/dictionary.ts";

export type Theme = "auto" | "dark" | "light";

export interface Preferences {
  language: Language;
  theme: Theme;
  zone: string;
  /** The operator's name, as it goes into histories. */
  actor: string;
}

const KEYS: Record<keyof Preferences, string> = {
  language: "ngatu.language",
  theme: "ngatu.theme",
  zone: "ngatu.zone",
  actor: "ngatu.actor",
};

function remembered(key: keyof Preferences): string | null {
  try {
    return window.localStorage.getItem(KEYS[key]);
  } catch {
    return null;
  }
}

function remember(key: keyof Preferences, choice: string): void {
  try {
    window.localStorage.setItem(KEYS[key], choice);
  } catch {
    // Not remembered; the choice still holds for this page.
  }
}

const asTheme = (word: string | null): Theme => (word === "dark" || word === "light" ? word : "auto");

function fromBrowser(): Preferences {
  const asked = new URLSearchParams(window.location.search).get("lang");
  const language = languageFrom(asked, remembered("language"));
  // An address with ?lang= is a choice like any other; without this the next
  // step through the screen, whose addresses do not carry it, would undo it.
  if (asked === language) remember("language", language);
  return {
    language,
    theme: asTheme(remembered("theme")),
    zone: knownZone(remembered("zone")),
    actor: remembered("actor") ?? "",
  };
}

let current: Preferences | null = null;
const listeners = new Set<() => void>();

const snapshot = () => (current ??= fromBrowser());

export function choose(changes: Partial<Preferences>): void {
  current = { ...snapshot(), ...changes };
  for (const key of Object.keys(KEYS) as (keyof Preferences)[]) {
    const choice = changes[key];
    if (choice !== undefined) remember(key, choice);
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  const elsewhere = (event: StorageEvent) => {
    // Another tab of the same operator chose something.
    if (event.key !== null && !Object.values(KEYS).includes(event.key)) return;
    current = {
      language: languageFrom(null, remembered("language")),
      theme: asTheme(remembered("theme")),
      zone: knownZone(remembered("zone")),
      actor: remembered("actor") ?? "",
    };
    listener();
  };
  listeners.add(listener);
  window.addEventListener("storage", elsewhere);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", elsewhere);
  };
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, snapshot);
}
