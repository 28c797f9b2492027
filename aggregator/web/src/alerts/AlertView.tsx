/** One alert in full: the picture, what happened, why the machine says so, and what people did. */

import { useEffect, useRef, useState, type ReactNode } from "react";
import type { Actor, AlertDetail, AlertSummary } from "../api/types.ts";
import { factName } from "../format/facts.ts";
import { numberText, quantity, valueText } from "../format/numbers.ts";
import { millis } from "../format/time.ts";
import { inLanguage, kindName, translated } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import type { Live } from "../live.ts";
import { SeverityMark, SimulatedMark, StateMark } from "../ui/marks.tsx";
import { Age, Moment } from "../ui/moments.tsx";
import { Failure, Notice } from "../ui/notices.tsx";
import { Clip } from "./Clip.tsx";
import { Decision } from "./Decision.tsx";
import { useOpenAlert } from "./detail.ts";
import { Evidence, History, Provenance } from "./Dossier.tsx";
import { EvidenceLock } from "./EvidenceLock.tsx";
import { Explanation } from "./Explanation.tsx";
import { shownState } from "./feed.ts";
import { ClockError, Gaps } from "./Gaps.tsx";
import { Looks } from "./Looks.tsx";
import { Plate } from "./Plate.tsx";
import { Still } from "./Still.tsx";

export interface AlertViewProps {
  id: string;
  live: Live;
  onClose: () => void;
}

export function AlertView({ id, live, onClose }: AlertViewProps) {
  const { t } = useWords();
  const { feed } = live;
  const summary = feed.items.find((alert) => alert.id === id);
  const { detail, problem, accept, reload } = useOpenAlert(id, Math.max(feed.openChange, summary?.change ?? 0));

  if (detail === null) {
    return (
      <div className="pane-empty">
        <BackButton onClose={onClose} />
        {problem === null ? (
          <Notice title={t.loading} />
        ) : problem.cause === "refused" && problem.status === 404 ? (
          <Notice title={t.notFound} hint={t.notFoundHint} />
        ) : (
          <Failure title={t.detailFailed} problem={problem} onRetry={reload} />
        )}
      </div>
    );
  }
  // The list may have heard of a newer version while the detail is on its way.
  const alert: AlertDetail = summary !== undefined && summary.change > detail.change ? { ...detail, ...summary } : detail;
  return <Loaded key={id} alert={alert} live={live} onClose={onClose} accept={accept} reload={reload} />;
}

function BackButton({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  return (
    <button type="button" className="back" onClick={onClose}>
      <span aria-hidden="true">‹</span> {t.back}
    </button>
  );
}

interface LoadedProps {
  alert: AlertDetail;
  live: Live;
  onClose: () => void;
  accept: (detail: AlertDetail) => void;
  reload: () => void;
}

function Loaded({ alert, live, onClose, accept, reload }: LoadedProps) {
  const { t, language } = useWords();
  const [highlighted, setHighlighted] = useState<Actor["bounds"]>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const state = shownState(live.feed, alert);
  const isPending = live.feed.pending.has(alert.id);
  const title = inLanguage(alert.title, language);
  const kind = kindName(alert.kind, alert, t, language);

  // Where the detail takes the list's place (narrow windows), a reader must learn that it did.
  useEffect(() => {
    if (window.matchMedia("(max-width: 900px)").matches) {
      heading.current?.focus({ preventScroll: true });
      window.scrollTo({ top: 0 });
    }
  }, []);

  return (
    <article className="alert" data-alert-open={alert.id} data-state={state}>
      <BackButton onClose={onClose} />
      <header className={`alert-head edge-${alert.severity}`}>
        <div className="alert-marks">
          <SeverityMark severity={alert.severity} />
          {kind !== title && <span className="kind">{kind}</span>}
          <StateMark state={state} isPending={isPending} />
          <span className="machine">{t.machine[alert.machine]}</span>
          {alert.simulated && <SimulatedMark />}
        </div>
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <p className="alert-where">
          {[...new Set([alert.camera_name, alert.place?.name])].filter((part) => part !== undefined).join(" · ")}
          <span className="alert-when">
            <Moment at={alert.occurred_at} withDay="always" /> <Age at={alert.occurred_at} />
          </span>
        </p>
      </header>

      <div className="alert-columns">
        <div className="alert-main">
          <Still alert={alert} highlighted={highlighted} />
          <Section title={t.explanation} name="explanation">
            <Explanation predicates={alert.event.explanation} />
            <Looks alert={alert} />
          </Section>
          <Section title={t.evidence} name="evidence">
            <Clip alert={alert} />
            <Gaps alert={alert} />
            <Evidence items={alert.evidence} isComplete={alert.evidence_complete} />
          </Section>
          <Section title={t.provenance} name="provenance">
            <Provenance alert={alert} />
          </Section>
        </div>
        <div className="alert-side">
          <Section title={t.decide} name="decide">
            <Decision
              id={alert.id}
              state={state}
              decide={live.decide}
              onDecided={accept}
              onConflict={() => {
                reload();
                live.reload();
              }}
            />
          </Section>
          <Section title={t.lockTitle} name="lock">
            <EvidenceLock
              alert={alert}
              onDecided={accept}
              onConflict={() => {
                reload();
                live.reload();
              }}
            />
          </Section>
          <Section title={t.when} name="when">
            <Times alert={alert} />
          </Section>
          <Section title={t.where} name="where">
            <Whereabouts alert={alert} />
          </Section>
          {alert.event.facts.length > 0 && (
            <Section title={t.factsTitle} name="facts">
              <Facts facts={alert.event.facts} />
            </Section>
          )}
          <Section title={t.actors} name="actors">
            <Actors actors={alert.event.actors} onHighlight={setHighlighted} />
          </Section>
          <Section title={t.history} name="history">
            <History entries={alert.history} />
          </Section>
        </div>
      </div>
    </article>
  );
}

function Section({ title, name, children }: { title: string; name: string; children: ReactNode }) {
  return (
    <section className={`part part-${name}`}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Times({ alert }: { alert: AlertDetail }) {
  const { t, language } = useWords();
  const [decided, received] = [millis(alert.decided_at), millis(alert.received_at)];
  const delay = decided === null || received === null ? null : (received - decided) / 1000;
  return (
    <dl>
      <dt>{t.occurred}</dt>
      <dd>
        <Moment at={alert.occurred_at} withDay="always" />
      </dd>
      <dt>{t.decided}</dt>
      <dd>
        <Moment at={alert.decided_at} withOffset={false} />
        {alert.event.decided !== null && (
          <span className="quiet"> {t.frame(numberText(alert.event.decided.frame, language))}</span>
        )}
      </dd>
      <dt>{t.ended}</dt>
      <dd>{alert.ended_at === null ? <span className="quiet">{t.ongoing}</span> : <Moment at={alert.ended_at} withOffset={false} />}</dd>
      <dt>{t.received}</dt>
      <dd>
        <Moment at={alert.received_at} withOffset={false} />
        {delay !== null && delay >= 0 && delay < 86_400 && (
          <span className="quiet">
            {" "}
            {t.receivedAfter(quantity(Math.round(delay * 10) / 10, "s", language))}
          </span>
        )}
      </dd>
      <dt>{t.timeSource}</dt>
      <dd>
        {t.timeQualities[alert.event.time_quality]}
        <ClockError alert={alert} />
      </dd>
    </dl>
  );
}

function Whereabouts({ alert }: { alert: AlertSummary & AlertDetail }) {
  const { t, language } = useWords();
  const { place } = alert;
  const degrees = (value: number) =>
    numberText(value, language, { minimumFractionDigits: 5, maximumFractionDigits: 5 });
  return (
    <dl>
      <dt>{t.camera}</dt>
      <dd>
        {alert.camera_name}
        {alert.camera_name !== alert.camera && <code>{alert.camera}</code>}
      </dd>
      {place !== null && (
        <>
          <dt>{t.place}</dt>
          <dd>{place.name}</dd>
        </>
      )}
      {place !== null && place.latitude !== null && place.longitude !== null && (
        <>
          <dt>{t.openMap}</dt>
          <dd>
            <a href={`geo:${place.latitude},${place.longitude}`} className="number">
              {degrees(place.latitude)}° {degrees(place.longitude)}°
            </a>
          </dd>
        </>
      )}
      {alert.zone !== null && (
        <>
          <dt>{t.zone}</dt>
          <dd>
            <code>{alert.zone}</code>
          </dd>
        </>
      )}
      <dt>{t.box}</dt>
      <dd>
        <code>
          {alert.site}/{alert.box}
        </code>
      </dd>
    </dl>
  );
}

function Facts({ facts }: { facts: AlertDetail["event"]["facts"] }) {
  const { t, language } = useWords();
  return (
    <dl className="facts">
      {facts.map(([key, value]) => {
        const { stem, unit } = factName(key);
        return (
          <div key={key}>
            <dt title={key}>{translated(t.facts, stem)}</dt>
            <dd className="number">{valueText(value, unit, language, t)}</dd>
          </div>
        );
      })}
    </dl>
  );
}

function Actors({ actors, onHighlight }: { actors: readonly Actor[]; onHighlight: (bounds: Actor["bounds"]) => void }) {
  const { t, language } = useWords();
  if (actors.length === 0) return <p className="quiet">{t.noActors}</p>;
  return (
    <ul className="actors">
      {actors.map((actor) => (
        <li
          key={actor.track}
          tabIndex={actor.bounds === null ? undefined : 0}
          onPointerEnter={() => onHighlight(actor.bounds)}
          onPointerLeave={() => onHighlight(null)}
          onFocus={() => onHighlight(actor.bounds)}
          onBlur={() => onHighlight(null)}
        >
          <strong>{translated(t.words, actor.class)}</strong>
          <span title={t.confidence} className="number">
            {numberText(actor.score, language, { style: "percent", maximumFractionDigits: 0 })}
          </span>
          <code title={t.track}>{actor.track}</code>
          {actor.plate !== null && <Plate plate={actor.plate} />}
        </li>
      ))}
    </ul>
  );
}
