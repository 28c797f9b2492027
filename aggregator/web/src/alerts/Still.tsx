/** The pictures of an alert, moment by moment: clean or annotated, closer by wheel, pinch, keys or buttons. */

import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { Actor, AlertDetail } from "../api/types.ts";
import { quantity } from "../format/numbers.ts";
import type { Dictionary, Language } from "../i18n/dictionary.ts";
import { inLanguage } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { useShortcuts } from "../ui/shortcuts.ts";
import { FITTED, panned, pictureShare, zoomedAt, type ZoomView } from "../ui/zoom.ts";
import { type StillMoment, stillMoments } from "./film.ts";

type Mode = "annotated" | "clean";
const STEP = 1.4;
const NUDGE = 0.1;

export function Still({ alert, highlighted }: { alert: AlertDetail; highlighted: Actor["bounds"] }) {
  const { t, language } = useWords();
  const [wanted, setWanted] = useState<Mode>("annotated");
  const [chosen, setChosen] = useState<string | null>(null);
  const moments = stillMoments(alert.evidence, alert.decided_at);
  const moment = moments.find((each) => each.captured === chosen) ?? null;
  const addresses: Record<Mode, string | null> =
    moment === null ? { annotated: alert.still_url, clean: alert.still_clean_url } : moment;
  const other: Mode = wanted === "clean" ? "annotated" : "clean";
  const mode = addresses[wanted] === null && addresses[other] !== null ? other : wanted;
  const address = addresses[mode];
  const canSwitch = addresses.clean !== null && addresses.annotated !== null;
  const swap = () => canSwitch && setWanted(mode === "clean" ? "annotated" : "clean");
  useShortcuts({ c: swap });

  return (
    <figure className="still" data-mode={mode}>
      {address === null ? (
        <div className="still-none">{stillAbsence(alert, t)}</div>
      ) : (
        <Zoomable
          address={address}
          clean={addresses.clean}
          label={t.stillAlt(inLanguage(alert.title, language), alert.camera_name)}
          // The box on the event is where somebody was at the decision, and nowhere else.
          highlighted={moment === null || moment.isDecided ? highlighted : null}
        />
      )}
      {moments.length > 1 && (
        <div className="moments switches" role="group" aria-label={t.moments}>
          {moments.map((each) => (
            <button
              key={each.captured}
              type="button"
              className="switch"
              aria-pressed={moment === null ? each.isDecided : each === moment}
              onClick={() => setChosen(each.captured)}
            >
              {momentName(each, t, language)}
            </button>
          ))}
        </div>
      )}
      {alert.simulated && <figcaption className="hazard">{t.simulatedWarning}</figcaption>}
      <div className="still-modes switches" role="group" aria-label={t.still}>
        {(["annotated", "clean"] as const).map((each) => (
          <button
            key={each}
            type="button"
            className="switch"
            aria-pressed={mode === each && address !== null}
            disabled={addresses[each] === null}
            onClick={() => setWanted(each)}
          >
            {each === "clean" ? t.stillClean : t.stillAnnotated}
          </button>
        ))}
      </div>
    </figure>
  );
}

/** Why there is no picture: gone, never to come, or on its way. */
function stillAbsence(alert: AlertDetail, t: Dictionary): string {
  const stills = alert.evidence.filter((item) => item.role === "still_annotated" || item.role === "still_clean");
  if (stills.some((item) => item.removed !== null)) return t.stillRemoved;
  return stills.length === 0 && alert.evidence_complete ? t.stillNever : t.stillNotYet;
}

function momentName(moment: StillMoment, t: Dictionary, language: Language): string {
  if (moment.isDecided) return t.momentDecided;
  const span = quantity(Math.round(Math.abs(moment.after_s) * 10) / 10, "s", language);
  return moment.after_s < 0 ? t.momentBefore(span) : t.momentAfter(span);
}

interface Spot {
  x: number;
  y: number;
}

/** Width over height of a picture that need not be shown; `null` until it is known. */
function useAspect(address: string | null): number | null {
  const [known, setKnown] = useState<{ address: string; aspect: number } | null>(null);
  useEffect(() => {
    if (address === null) return;
    const picture = new Image();
    picture.onload = () => setKnown({ address, aspect: picture.naturalWidth / picture.naturalHeight });
    picture.src = address;
    return () => {
      picture.onload = null;
    };
  }, [address]);
  return known !== null && known.address === address ? known.aspect : null;
}

interface ZoomableProps {
  address: string;
  /** The still without words below it, which tells where the picture ends. */
  clean: string | null;
  label: string;
  highlighted: Actor["bounds"];
}

function Zoomable({ address, clean, label, highlighted }: ZoomableProps) {
  const { t } = useWords();
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<ZoomView>(FITTED);
  const [aspect, setAspect] = useState(16 / 9);
  const [broken, setBroken] = useState<string | null>(null);
  const fingers = useRef(new Map<number, Spot>());

  /** Where the pointer is, from the middle of the frame, as fractions of its size. */
  const spotOf = (event: { clientX: number; clientY: number }): Spot => {
    const edge = frame.current?.getBoundingClientRect();
    if (edge === undefined || edge.width === 0) return { x: 0, y: 0 };
    return {
      x: (event.clientX - edge.left) / edge.width - 0.5,
      y: (event.clientY - edge.top) / edge.height - 0.5,
    };
  };

  useEffect(() => {
    const target = frame.current;
    if (target === null) return;
    // Not React's onWheel: that one is passive, and the page would scroll along.
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const spot = spotOf(event);
      setView((now) => zoomedAt(now, Math.exp(-event.deltaY / 400), spot.x, spot.y));
    };
    target.addEventListener("wheel", onWheel, { passive: false });
    return () => target.removeEventListener("wheel", onWheel);
  }, []);

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    fingers.current.set(event.pointerId, spotOf(event));
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const before = fingers.current.get(event.pointerId);
    if (before === undefined) return;
    const spot = spotOf(event);
    const second = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
    fingers.current.set(event.pointerId, spot);
    if (second === undefined) {
      setView((now) => panned(now, spot.x - before.x, spot.y - before.y));
      return;
    }
    const apart = (one: Spot) => Math.hypot(one.x - second.x, one.y - second.y);
    if (apart(before) === 0) return;
    setView((now) => zoomedAt(now, apart(spot) / apart(before), (spot.x + second.x) / 2, (spot.y + second.y) / 2));
  };
  const up = (event: PointerEvent) => fingers.current.delete(event.pointerId);

  const closer = () => setView((now) => zoomedAt(now, STEP, 0, 0));
  const wider = () => setView((now) => zoomedAt(now, 1 / STEP, 0, 0));
  const fit = () => setView(FITTED);
  const keys: Record<string, () => void> = {
    "+": closer,
    "=": closer,
    "-": wider,
    "0": fit,
    ArrowLeft: () => setView((now) => panned(now, NUDGE, 0)),
    ArrowRight: () => setView((now) => panned(now, -NUDGE, 0)),
    ArrowUp: () => setView((now) => panned(now, 0, NUDGE)),
    ArrowDown: () => setView((now) => panned(now, 0, -NUDGE)),
  };
  const onKey = (event: KeyboardEvent) => {
    const act = keys[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    // At rest the arrows scroll the page, as everywhere else.
    if (event.key.startsWith("Arrow") && view.scale === 1) return;
    event.preventDefault();
    act();
  };

  const isBroken = broken === address;
  const cleanAspect = useAspect(highlighted === null ? null : clean);
  // Rather no frame than one around the wrong vehicle.
  const share = address === clean ? 1 : pictureShare(aspect, cleanAspect);
  return (
    <div
      ref={frame}
      className={`zoom${view.scale > 1 ? " is-close" : ""}`}
      style={{ aspectRatio: aspect, maxWidth: `calc(var(--still-height) * ${aspect})` }}
      tabIndex={0}
      role="group"
      aria-label={`${t.still}. ${t.zoomHint}`}
      onKeyDown={onKey}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onDoubleClick={(event) => {
        const spot = spotOf(event);
        setView((now) => (now.scale > 1 ? FITTED : zoomedAt(now, 2.5, spot.x, spot.y)));
      }}
    >
      <div
        className="zoom-picture"
        style={{ transform: `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.scale})` }}
      >
        {isBroken ? (
          <div className="still-none">{t.stillBroken}</div>
        ) : (
          <img
            src={address}
            alt={label}
            draggable={false}
            onLoad={(event) => {
              const { naturalWidth, naturalHeight } = event.currentTarget;
              if (naturalWidth > 0 && naturalHeight > 0) setAspect(naturalWidth / naturalHeight);
            }}
            onError={() => setBroken(address)}
          />
        )}
        {highlighted !== null && share !== null && !isBroken && (
          <div
            className="highlight"
            style={{
              left: `${highlighted[0] * 100}%`,
              top: `${highlighted[1] * share * 100}%`,
              width: `${highlighted[2] * 100}%`,
              height: `${highlighted[3] * share * 100}%`,
            }}
          />
        )}
      </div>
      <div className="zoom-tools" onPointerDown={(event) => event.stopPropagation()} onDoubleClick={(event) => event.stopPropagation()}>
        <button type="button" onClick={closer} aria-label={t.zoomIn} title={t.zoomIn}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 3v10M3 8h10" /></svg>
        </button>
        <button type="button" onClick={wider} aria-label={t.zoomOut} title={t.zoomOut} disabled={view.scale === 1}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8h10" /></svg>
        </button>
        <button type="button" onClick={fit} aria-label={t.zoomReset} title={t.zoomReset} disabled={view.scale === 1}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3" /></svg>
        </button>
        <button
          type="button"
          onClick={() => {
            // Refused by some browsers and embeddings; then the picture simply stays where it is.
            if (document.fullscreenElement !== null) void document.exitFullscreen().catch(() => undefined);
            else void frame.current?.requestFullscreen?.().catch(() => undefined);
          }}
          aria-label={t.fullScreen}
          title={t.fullScreen}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M9.5 6.5 13 3M9.8 3H13v3.2M6.5 9.5 3 13M3 9.8V13h3.2" /></svg>
        </button>
      </div>
    </div>
  );
}
