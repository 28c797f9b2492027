/** The bar on top: where am I, is it live, is something new, is a camera blind, and how I like it. */

import type { MouseEvent } from "react";
import type { Live } from "../live.ts";
import { HOME_ZONE } from "../format/time.ts";
import { LANGUAGES } from "../i18n/dictionary.ts";
import { DICTIONARIES } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { choose, usePreferences, type Theme } from "../preferences.ts";
import type { View } from "../route.ts";
import { ConnectionMark } from "./ConnectionMark.tsx";
import { Popup } from "./popup.tsx";

export interface TopBarProps {
  live: Live;
  view: View;
  blindCameras: number;
  hrefOf: (view: View) => string;
  onView: (view: View) => void;
  onUnseen: () => void;
  onHelp: () => void;
}

export function TopBar({ live, view, blindCameras, hrefOf, onView, onUnseen, onHelp }: TopBarProps) {
  const { t } = useWords();
  const unseen = live.feed.unseen.size;
  const follow = (to: View) => (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onView(to);
  };
  return (
    <header className="top">
      <h1 className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M12 2h8v10h10v8H20v10h-8V20H2v-8h10z" className="road" />
          <path d="M16 3v7M16 22v7M3 16h7M22 16h7" className="marking" />
          <circle cx="16" cy="16" r="3.6" className="eye" />
        </svg>
        <span className="brand-name">{t.product}</span>
        <span className="brand-line">{t.tagline}</span>
      </h1>
      <nav aria-label={t.views}>
        <a href={hrefOf("alerts")} onClick={follow("alerts")} aria-current={view === "alerts" ? "page" : undefined}>
          {t.alerts}
        </a>
        <a href={hrefOf("cameras")} onClick={follow("cameras")} aria-current={view === "cameras" ? "page" : undefined}>
          {t.cameras}
          {blindCameras > 0 && (
            <span className="blind" title={t.camerasBlind(blindCameras)}>
              <span aria-hidden="true">✕ {blindCameras}</span>
              <span className="spoken">{t.camerasBlind(blindCameras)}</span>
            </span>
          )}
        </a>
      </nav>
      <div className="top-end">
        {unseen > 0 && (
          <button type="button" className="unseen" data-unseen={unseen} onClick={onUnseen}>
            {t.unseen(unseen)}
          </button>
        )}
        <ConnectionMark connection={live.connection} onRetry={live.retryNow} />
        <LanguageSwitch />
        <Settings />
        <button type="button" className="icon" onClick={onHelp} aria-label={t.shortcuts} title={`${t.shortcuts} (?)`}>
          ?
        </button>
      </div>
    </header>
  );
}

const LANGUAGE_NAMES = { vi: "Tiếng Việt", en: "English" } as const;

function LanguageSwitch() {
  const { t, language } = useWords();
  return (
    <div className="switches languages" role="group" aria-label={t.language}>
      {LANGUAGES.map((each) => (
        <button
          key={each}
          type="button"
          className="switch"
          lang={each}
          data-language={each}
          aria-pressed={language === each}
          aria-label={LANGUAGE_NAMES[each]}
          title={LANGUAGE_NAMES[each]}
          onClick={() => choose({ language: each })}
        >
          {each.toUpperCase()}
        </button>
      ))}
    </div>
  );
}

const THEMES: readonly Theme[] = ["auto", "dark", "light"];

function Settings() {
  const { t } = useWords();
  const { theme, zone } = usePreferences();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set([HOME_ZONE, here, "UTC", zone])];
  const zoneName = (each: string) =>
    each === HOME_ZONE ? `${each} (${t.timeZoneHere})` : each === here ? `${each} (${t.timeZoneBrowser})` : each;
  return (
    <Popup
      className="icon"
      ariaLabel={t.settings}
      label={
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M2 4.5h7M13 4.5h1M2 11.5h1M7 11.5h7" />
          <circle cx="11" cy="4.5" r="1.8" />
          <circle cx="5" cy="11.5" r="1.8" />
        </svg>
      }
    >
      <div className="settings">
        <fieldset>
          <legend>{t.theme}</legend>
          {THEMES.map((each) => (
            <label key={each}>
              <input type="radio" name="theme" checked={theme === each} onChange={() => choose({ theme: each })} />
              <span>{t.themes[each]}</span>
            </label>
          ))}
        </fieldset>
        <fieldset>
          <legend>{t.timeZone}</legend>
          {zones.map((each) => (
            <label key={each}>
              <input type="radio" name="zone" checked={zone === each} onChange={() => choose({ zone: each })} />
              <span>{zoneName(each)}</span>
            </label>
          ))}
        </fieldset>
      </div>
    </Popup>
  );
}

/** The page's own title in the other tabs' company: how many are unseen, then who we are. */
export function pageTitle(unseen: number, language: keyof typeof DICTIONARIES): string {
  const { product, tagline } = DICTIONARIES[language];
  return `${unseen > 0 ? `(${unseen}) ` : ""}${product} – ${tagline}`;
}
