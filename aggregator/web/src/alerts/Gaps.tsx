/** What an alert's evidence lacks, for good or as yet, in words that an officer can write down. */

import type { AlertDetail, EvidenceItem } from "../api/types.ts";
import { numberText, quantity } from "../format/numbers.ts";
import { millis } from "../format/time.ts";
import { inLanguage, translated } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { Moment } from "../ui/moments.tsx";

/** Above the files: what will not come, or that nothing will. */
export function Gaps({ alert }: { alert: AlertDetail }) {
  const { t, language } = useWords();
  const hasFiles = alert.evidence.some((item) => item.role !== "case_manifest");
  if (alert.missing.length === 0 && !(alert.evidence_complete && !hasFiles)) return null;
  return (
    <div className="gaps" role="note">
      <strong>{hasFiles ? t.evidenceLacks : t.evidenceNone}</strong>
      {alert.missing.length > 0 && (
        <ul>
          {alert.missing.map((gap, row) => (
            <li key={`${gap.role} ${gap.at} ${row}`} data-missing={gap.role}>
              {gap.role !== "other" && (
                <>
                  {t.evidenceRoles[gap.role]}
                  {gap.at !== null && (
                    <>
                      {" "}
                      <Moment at={gap.at} />
                    </>
                  )}
                  {": "}
                </>
              )}
              {inLanguage(gap.reason, language)}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Beside a file: how far a clip goes and what was asked for, what must be known of it, why it is gone. */
export function FileRemarks({ item }: { item: EvidenceItem }) {
  const { t, language } = useWords();
  const span = (from: string, to: string) => quantity(Math.round((millis(to) ?? 0) - (millis(from) ?? 0)) / 1000, "s", language);
  const { captured, until, asked, note, removed } = item;
  return (
    <>
      {captured !== null && until !== null && (
        <span className="quiet file-until">
          {t.clipUntil} <Moment at={until} /> ({span(captured, until)})
        </span>
      )}
      {asked !== null && (
        <span className="file-asked">
          {t.clipAsked} <Moment at={asked.from} /> – <Moment at={asked.to} /> ({span(asked.from, asked.to)})
        </span>
      )}
      {note !== null && <span className="file-note">{inLanguage(note, language)}</span>}
      {removed !== null && (
        <span className="file-removed">
          {t.removedOn} <Moment at={removed.at} withDay="always" /> ({translated(t.retentionClasses, removed.class)},{" "}
          {quantity(removed.days, t.days, language)})
        </span>
      )}
    </>
  );
}

/** How far the clock of an alert's times may be off. */
export function ClockError({ alert }: { alert: AlertDetail }) {
  const { t, language } = useWords();
  if (alert.clock === null) return null;
  const { uncertainty_s } = alert.clock;
  return (
    <span className={uncertainty_s === null || uncertainty_s > 1 ? "clock-error caution" : "clock-error quiet"}>
      {" · "}
      {uncertainty_s === null ? t.clockUnmeasured : t.clockWithin(`${numberText(uncertainty_s, language, { maximumFractionDigits: 2 })} s`)}
    </span>
  );
}
