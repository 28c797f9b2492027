/** One alert in the list. A link, so that it opens in a new tab as well. */

import { memo, useState, type MouseEvent } from "react";
import type { AlertState, AlertSummary } from "../api/types.ts";
import { inLanguage, isKnownKind, translated } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { SeverityIcon, SimulatedMark, StateMark } from "../ui/marks.tsx";
import { Age, Moment } from "../ui/moments.tsx";

export interface AlertRowProps {
  alert: AlertSummary;
  state: AlertState;
  isPending: boolean;
  isOpen: boolean;
  isUnseen: boolean;
  href: string;
  onOpen: (id: string) => void;
}

export const AlertRow = memo(function AlertRow(props: AlertRowProps) {
  const { alert, state, isPending, isOpen, isUnseen, href, onOpen } = props;
  const { t, language } = useWords();
  const open = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(alert.id);
  };
  const where = [alert.camera_name, alert.place?.name].filter((part) => part !== undefined && part !== "");
  const title = inLanguage(alert.title, language);
  const kind = isKnownKind(t, alert.kind) ? translated(t.kinds, alert.kind) : alert.kind;
  const classes = ["row", `edge-${alert.severity}`, `row-${state}`];
  if (isUnseen) classes.push("is-unseen");
  if (alert.simulated) classes.push("is-simulated");
  return (
    <li className={classes.join(" ")} data-alert={alert.id}>
      <a href={href} onClick={open} aria-current={isOpen ? "true" : undefined}>
        <Thumbnail key={alert.still_url ?? ""} alert={alert} />
        <span className="row-body">
          <span className="row-top">
            <span className={`severity severity-${alert.severity}`}>
              <SeverityIcon severity={alert.severity} />
              {t.severities[alert.severity]}
            </span>
            {/* Where the title is the kind's name, saying it twice only makes the row slower to read. */}
            {kind !== title && <span className={isKnownKind(t, alert.kind) ? "kind" : "kind kind-code"}>{kind}</span>}
          </span>
          <span className="row-middle">
            <span className="row-title">
              {isUnseen && <span className="dot" aria-hidden="true" />}
              {title}
            </span>
            <StateMark state={state} isPending={isPending} />
          </span>
          <span className="row-where">{[...new Set(where)].join(" · ")}</span>
          <span className="row-when">
            <Moment at={alert.occurred_at} />
            <Age at={alert.occurred_at} />
          </span>
        </span>
      </a>
    </li>
  );
});

function Thumbnail({ alert }: { alert: AlertSummary }) {
  const { t } = useWords();
  const [isBroken, setBroken] = useState(false);
  return (
    <span className="thumb">
      {alert.still_url === null || isBroken ? (
        <span className="thumb-none">{isBroken ? t.stillBroken : t.noStill}</span>
      ) : (
        // The row's words say what the picture shows; reading it twice helps nobody.
        <img src={alert.still_url} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />
      )}
      {alert.simulated && <SimulatedMark />}
    </span>
  );
}
