/** Every camera and what it sees of the road: those that need somebody stand first. */

import { useMemo } from "react";
import { useNow } from "../clock.ts";
import type { BoxStatus } from "../api/types.ts";
import { numberText } from "../format/numbers.ts";
import { clockTime } from "../format/time.ts";
import { inLanguage } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import type { Live } from "../live.ts";
import { SimulatedMark, WatchMark } from "../ui/marks.tsx";
import { Age, Moment } from "../ui/moments.tsx";
import { Failure, Notice } from "../ui/notices.tsx";
import { boxKey, cameraKey, droppedShare, isBlind, watched, type WatchedCamera } from "./watch.ts";

export function useWatched(live: Live): WatchedCamera[] {
  const now = useNow();
  const { cameras, boxes } = live.fleet;
  return useMemo(() => watched(cameras.values(), boxes, now), [cameras, boxes, now]);
}

export interface CameraWallProps {
  live: Live;
  alertsHref: (camera: string) => string;
  onAlerts: (camera: string) => void;
}

export function CameraWall({ live, alertsHref, onAlerts }: CameraWallProps) {
  const { t } = useWords();
  const cameras = useWatched(live);
  const { phase, problem } = live.fleet;

  if (cameras.length === 0 && phase !== "ready") {
    return problem === null ? (
      <Notice title={t.loading} />
    ) : (
      <Failure title={t.camerasFailed} problem={problem} onRetry={live.reload} />
    );
  }
  const watching = cameras.filter((camera) => camera.watch === "watching" || camera.watch === "degraded").length;
  return (
    <div className="wall">
      {problem !== null && <Failure title={t.camerasFailed} problem={problem} onRetry={live.reload} />}
      {cameras.length === 0 ? (
        <Notice title={t.noCameras} hint={t.noCamerasHint} />
      ) : (
        <>
          <h2>{t.cameraCount(watching, cameras.length)}</h2>
          <Boxes cameras={cameras} boxes={live.fleet.boxes} />
          <ul className="cameras">
            {cameras.map((camera) => (
              <CameraCard
                key={cameraKey(camera.status)}
                camera={camera}
                href={alertsHref(camera.status.camera)}
                onAlerts={onAlerts}
              />
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

interface KnownBox {
  key: string;
  online: boolean | null;
  status: BoxStatus | undefined;
}

function Boxes({ cameras, boxes }: { cameras: readonly WatchedCamera[]; boxes: Live["fleet"]["boxes"] }) {
  const { t, language } = useWords();
  const known = new Map<string, KnownBox>();
  for (const { status } of cameras) known.set(boxKey(status), { key: boxKey(status), online: status.box_online, status: undefined });
  for (const [key, status] of boxes) known.set(key, { key, online: status.online, status });
  const order = (online: boolean | null) => (online === false ? 0 : online === null ? 1 : 2);
  const sorted = [...known.values()].sort((a, b) => order(a.online) - order(b.online) || a.key.localeCompare(b.key));
  return (
    <section aria-label={t.boxes}>
      <h3>{t.boxes}</h3>
      <ul className="boxes">
        {sorted.map(({ key, online, status }) => (
          <li key={key} className={online === false ? "is-off" : online === null ? "is-unknown" : "is-on"} data-box={key}>
            <span className="box-sign" aria-hidden="true">
              {online === false ? "✕" : online === null ? "?" : "●"}
            </span>
            <code>{key}</code>
            <strong>{online === false ? t.boxOffline : online === null ? t.boxUnknown : t.boxOnline}</strong>
            {status !== undefined && status.version !== "" && (
              <span className="quiet">
                {t.version} {status.version}
              </span>
            )}
            {status !== undefined && status.outbox_waiting > 0 && <span>{t.outboxWaiting(status.outbox_waiting)}</span>}
            {status?.trouble != null && <span className="bad">{inLanguage(status.trouble, language)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function CameraCard({ camera, href, onAlerts }: { camera: WatchedCamera; href: string; onAlerts: (camera: string) => void }) {
  const { t, language, clock } = useWords();
  const { status, box, watch } = camera;
  const dropped = droppedShare(status);
  const boxIsOff = (box?.online ?? status.box_online) === false;
  const why =
    watch === "silent"
      ? boxIsOff
        ? t.silentBoxOffline
        : t.silentOldNews(clockTime(status.heard_at, clock))
      : status.reason === null
        ? null
        : inLanguage(status.reason, language);
  return (
    <li className={`camera camera-${watch}${isBlind(watch) ? " is-blind" : ""}`} data-camera={status.camera}>
      <header>
        <h4>{status.name}</h4>
        <WatchMark watch={watch} />
      </header>
      <p className="camera-where">
        {status.place?.name ?? ""}
        {status.simulated && <SimulatedMark />}
      </p>
      {why !== null && <p className="why">{why}</p>}
      {status.evidence_stream !== null && status.evidence_stream.health !== "watching" && watch !== "silent" && (
        <p className="why evidence-stream">
          {t.evidenceStream}: {status.evidence_stream.reason === null ? t.watches[status.evidence_stream.health] : inLanguage(status.evidence_stream.reason, language)}
        </p>
      )}
      <dl>
        <div>
          <dt>{t.fps}</dt>
          <dd className="number">{watch === "silent" ? "–" : numberText(status.analysed_fps, language, { maximumFractionDigits: 1 })}</dd>
        </div>
        <div>
          <dt>{t.dropped}</dt>
          <dd className="number" title={numberText(status.frames_dropped, language)}>
            {dropped === null ? "–" : numberText(dropped, language, { style: "percent", maximumFractionDigits: 1 })}
          </dd>
        </div>
        <div>
          <dt>{t.retries}</dt>
          <dd className="number">{numberText(status.retries, language)}</dd>
        </div>
        {watch !== "silent" && (
          <div className="wide">
            <dt>{t.since}</dt>
            <dd>
              <Moment at={status.since} />
            </dd>
          </div>
        )}
        <div className="wide">
          <dt>{t.lastSeen}</dt>
          <dd>
            {status.heard_at === null ? "–" : <><Moment at={status.heard_at} withOffset={false} /> <Age at={status.heard_at} /></>}
          </dd>
        </div>
        <div className="wide">
          <dt>{t.receivedFrames}</dt>
          <dd className="number">{numberText(status.frames_received, language)}</dd>
        </div>
        <div className="wide">
          <dt>{t.timeSource}</dt>
          <dd>{status.time_quality === null ? "–" : t.timeQualities[status.time_quality]}</dd>
        </div>
        <div className="wide">
          <dt>{t.model}</dt>
          <dd>{status.model === null ? "–" : <code>{status.model}</code>}</dd>
        </div>
      </dl>
      <footer>
        <code>{cameraKey(status)}</code>
        <a
          href={href}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            onAlerts(status.camera);
          }}
        >
          {t.alertsOfCamera}
        </a>
      </footer>
    </li>
  );
}
