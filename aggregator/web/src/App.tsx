/** The screen: the bar, the list beside the open alert, or the cameras. */

import { useCallback, useEffect, useMemo, useState } from "react";
import { AlertList } from "./alerts/AlertList.tsx";
import { AlertView } from "./alerts/AlertView.tsx";
import { Filters } from "./alerts/Filters.tsx";
import { neighbour } from "./alerts/feed.ts";
import { isFiltering, NO_FILTER, type Filter } from "./alerts/filter.ts";
import { Overview } from "./alerts/Overview.tsx";
import { CameraWall, useWatched } from "./cameras/CameraWall.tsx";
import { isBlind } from "./cameras/watch.ts";
import { inLanguage } from "./i18n/language.ts";
import { useWords } from "./i18n/words.tsx";
import { useLive } from "./live.ts";
import { usePreferences } from "./preferences.ts";
import { go, routeFrom, searchOf, useSearch, type Route, type View } from "./route.ts";
import { Guard } from "./ui/notices.tsx";
import { ShortcutHelp } from "./ui/ShortcutHelp.tsx";
import { useShortcuts } from "./ui/shortcuts.ts";
import { pageTitle, TopBar } from "./ui/TopBar.tsx";

export function App() {
  const { t, language } = useWords();
  const { theme } = usePreferences();
  const search = useSearch();
  const route = useMemo(() => routeFrom(search), [search]);
  const live = useLive(route.filter, route.alert);
  const [isHelping, setHelping] = useState(false);
  const { items, unseen } = live.feed;
  const blind = useWatched(live).filter((camera) => isBlind(camera.watch)).length;

  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  useEffect(() => {
    document.title = pageTitle(unseen.size, language);
  }, [unseen.size, language]);

  const open = useCallback(
    // From alert to alert the address is replaced: back leads to the list, not through every alert looked at.
    (id: string | null) => {
      const now = routeFrom(window.location.search);
      go({ ...now, view: "alerts", alert: id }, now.alert === null ? "push" : "replace");
    },
    [],
  );
  const close = useCallback(() => open(null), [open]);
  const setFilter = (filter: Filter) => go({ ...route, filter }, "replace");
  const toView = (view: View): Route => ({ ...route, view, alert: null });
  const ofCamera = (camera: string): Route => ({
    view: "alerts",
    alert: null,
    filter: { ...NO_FILTER, cameras: [camera] },
  });
  const step = (by: 1 | -1) => {
    const next = neighbour(items, route.alert, by);
    if (next !== null) open(next);
    else if (by === 1) live.loadMore();
  };
  const newest = () => {
    live.markSeen();
    const first = items[0];
    if (first !== undefined) open(first.id);
  };

  useShortcuts({
    j: () => route.view === "alerts" && step(1),
    k: () => route.view === "alerts" && step(-1),
    n: newest,
    v: () => go(toView(route.view === "alerts" ? "cameras" : "alerts")),
    "?": () => setHelping(true),
    Escape: () => route.alert !== null && close(),
  });

  const showUnseen = () => {
    live.markSeen();
    go({ ...route, view: "alerts" }, "replace");
    document.getElementById("list")?.scrollTo({ top: 0 });
    window.scrollTo({ top: 0 });
  };
  const latestUnseen = items.find((alert) => unseen.has(alert.id));

  return (
    <div className={`screen view-${route.view}${route.alert === null ? "" : " has-open"}`}>
      <a className="skip" href="#list">
        {t.skipToAlerts}
      </a>
      <TopBar
        live={live}
        view={route.view}
        blindCameras={blind}
        hrefOf={(view) => searchOf(toView(view))}
        onView={(view) => go(toView(view))}
        onUnseen={showUnseen}
        onHelp={() => setHelping(true)}
      />
      <p className="spoken" role="status" aria-live="polite">
        {latestUnseen === undefined ? "" : t.unseenAnnouncement(unseen.size, inLanguage(latestUnseen.title, language))}
      </p>
      {route.view === "cameras" ? (
        <main className="cameras-view" id="list" tabIndex={-1}>
          <Guard text={t.screenFailed} action={t.reloadPage}>
            <CameraWall
              live={live}
              alertsHref={(camera) => searchOf(ofCamera(camera))}
              onAlerts={(camera) => go(ofCamera(camera))}
            />
          </Guard>
        </main>
      ) : (
        <main className="alerts-view">
          <div className="list-pane">
            <Filters filter={route.filter} items={items} kinds={live.kinds} fleet={live.fleet} onFilter={setFilter} />
            <div className="list-count">
              <span>{items.length > 0 && t.shown(items.length, live.feed.next !== null)}</span>
              {isFiltering(route.filter) && (
                <button type="button" className="link" onClick={() => setFilter(NO_FILTER)}>
                  {t.clearFilters}
                </button>
              )}
              <label>
                <input
                  type="checkbox"
                  name="hide-simulated"
                  checked={route.filter.hideSimulated}
                  onChange={() => setFilter({ ...route.filter, hideSimulated: !route.filter.hideSimulated })}
                />
                {t.hideSimulated}
              </label>
            </div>
            <div className="list-scroll" id="list" tabIndex={-1}>
              <Guard text={t.screenFailed} action={t.reloadPage}>
                <AlertList
                  live={live}
                  open={route.alert}
                  hrefOf={(id) => searchOf({ ...route, alert: id })}
                  onOpen={open}
                  onClearFilter={() => setFilter(NO_FILTER)}
                />
              </Guard>
            </div>
          </div>
          <div className="open-pane">
            <Guard key={route.alert ?? ""} text={t.screenFailed} action={t.reloadPage}>
              {route.alert === null ? (
                <Overview live={live} onView={(view) => go(toView(view))} />
              ) : (
                <AlertView id={route.alert} live={live} onClose={close} />
              )}
            </Guard>
          </div>
        </main>
      )}
      {isHelping && <ShortcutHelp onClose={() => setHelping(false)} />}
    </div>
  );
}
