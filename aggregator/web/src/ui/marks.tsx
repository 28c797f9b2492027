/**
 * Small marks that mean the same everywhere. None tells anything by colour
 * alone: severities differ in shape, states in fill, and each has its word.
 */

import type { AlertState, Severity } from "../api/types.ts";
import { useWords } from "../i18n/words.tsx";
import type { Watch } from "../cameras/watch.ts";

const SHAPES: Record<Severity, React.ReactNode> = {
  critical: (
    <>
      <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" className="fill" />
      <path d="M8 4v5M8 11.4v.6" className="ink" />
    </>
  ),
  major: (
    <>
      <path d="M8 1.2 15.4 14.6H.6z" className="fill" />
      <path d="M8 6v4M8 12.1v.5" className="ink" />
    </>
  ),
  minor: (
    <>
      <path d="M8 1l7 7-7 7-7-7z" className="fill" />
      <path d="M8 5v3.8M8 10.6v.5" className="ink" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="6.4" className="line" />
      <path d="M8 7.4v4M8 4.6v.5" className="ink" />
    </>
  ),
};

export function SeverityIcon({ severity }: { severity: Severity }) {
  return (
    <svg className={`severity-icon severity-${severity}`} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[severity]}
    </svg>
  );
}

export function SeverityMark({ severity }: { severity: Severity }) {
  const { t } = useWords();
  return (
    <span className={`severity severity-${severity}`}>
      <SeverityIcon severity={severity} />
      {t.severities[severity]}
    </span>
  );
}

const STATE_SIGNS: Record<AlertState, React.ReactNode> = {
  new: <circle cx="6" cy="6" r="4.5" className="fill" />,
  acknowledged: (
    <>
      <circle cx="6" cy="6" r="4.2" className="line" />
      <path d="M6 1.8a4.2 4.2 0 0 1 0 8.4z" className="fill" />
    </>
  ),
  resolved: <path d="M1.8 6.4 4.7 9.2 10.2 3" className="line" />,
};

export function StateMark({ state, isPending = false }: { state: AlertState; isPending?: boolean }) {
  const { t } = useWords();
  return (
    <span className={`state state-${state}`} data-state={state} aria-busy={isPending}>
      <svg viewBox="0 0 12 12" aria-hidden="true">
        {STATE_SIGNS[state]}
      </svg>
      {t.states[state]}
    </span>
  );
}

export function SimulatedMark() {
  const { t } = useWords();
  return <span className="simulated">{t.simulated}</span>;
}

const WATCH_SIGNS: Record<Watch, React.ReactNode> = {
  watching: (
    <>
      <path d="M1 8s2.6-4.6 7-4.6S15 8 15 8s-2.6 4.6-7 4.6S1 8 1 8z" className="line" />
      <circle cx="8" cy="8" r="2.2" className="fill" />
    </>
  ),
  degraded: (
    <>
      <path d="M8 1.6 15 14.4H1z" className="line" />
      <path d="M8 6.2v3.6M8 11.8v.5" className="ink-current" />
    </>
  ),
  connecting: <path d="M13.6 8A5.6 5.6 0 1 1 8 2.4" className="line" />,
  lost: (
    <>
      <path d="M1 8s2.6-4.6 7-4.6S15 8 15 8s-2.6 4.6-7 4.6S1 8 1 8z" className="line" />
      <path d="M2.5 13.5l11-11" className="line" />
    </>
  ),
  silent: (
    <>
      <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" className="fill" />
      <path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" className="ink" />
    </>
  ),
  stopped: <rect x="3.5" y="3.5" width="9" height="9" rx="1" className="line" />,
  unknown: (
    <>
      <circle cx="8" cy="8" r="6.4" className="line" />
      <path d="M6 6.4a2 2 0 1 1 2.6 1.9c-.5.2-.6.5-.6 1.1M8 11.4v.5" className="ink-current" />
    </>
  ),
};

export function WatchMark({ watch }: { watch: Watch }) {
  const { t } = useWords();
  return (
    <span className={`watch watch-${watch}`} data-watch={watch}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {WATCH_SIGNS[watch]}
      </svg>
      {t.watches[watch]}
    </span>
  );
}
