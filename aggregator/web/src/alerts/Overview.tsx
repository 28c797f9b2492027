/** What stands beside the list while no alert is open: can we see, and how much waits. */

import { useWatched } from "../cameras/CameraWall.tsx";
import { cameraKey, isBlind } from "../cameras/watch.ts";
import { numberText } from "../format/numbers.ts";
import { kindName } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import type { Live } from "../live.ts";
import type { View } from "../route.ts";
import { WatchMark } from "../ui/marks.tsx";

export function Overview({ live, onView }: { live: Live; onView: (view: View) => void }) {
  const { t, language } = useWords();
  const cameras = useWatched(live);
  const blind = cameras.filter((camera) => isBlind(camera.watch));
  const watching = cameras.filter((camera) => camera.watch === "watching" || camera.watch === "degraded").length;
  const most = Math.max(1, ...live.kinds.map(({ count }) => count));
  return (
    <div className="overview">
      <div className="overview-hint">
        <strong>{t.chooseAlert}</strong>
        <p className="quiet">{t.chooseAlertHint}</p>
      </div>
      {cameras.length > 0 && (
        <section>
          <h3>{t.cameras}</h3>
          <p className="overview-count">{t.cameraCount(watching, cameras.length)}</p>
          {watching === cameras.length && <p className="quiet">{t.allCamerasWatch}</p>}
          {blind.length > 0 && (
            <ul className="overview-blind">
              {blind.slice(0, 8).map(({ status, watch }) => (
                <li key={cameraKey(status)}>
                  <WatchMark watch={watch} /> {status.name}
                </li>
              ))}
            </ul>
          )}
          <button type="button" onClick={() => onView("cameras")}>
            {blind.length > 0 ? t.camerasNeedingHelp : t.cameras}
          </button>
        </section>
      )}
      {live.kinds.length > 0 && (
        <section>
          <h3>{t.overview}</h3>
          <ul className="overview-kinds">
            {[...live.kinds]
              .sort((a, b) => b.count - a.count)
              .map(({ kind, count }) => (
                <li key={kind}>
                  <span>{kindName(kind, live.feed.items.find((alert) => alert.kind === kind), t, language)}</span>
                  <span className="meter" aria-hidden="true">
                    <i style={{ width: `${(count / most) * 100}%` }} />
                  </span>
                  <span className="number">{numberText(count, language)}</span>
                </li>
              ))}
          </ul>
        </section>
      )}
    </div>
  );
}
