/** What proves an alert and what was done about it: files with their hashes, history, provenance. */

import { Fragment, useEffect, useState } from "react";
import type { AlertDetail, EvidenceItem, HistoryEntry, ResolveReason } from "../api/types.ts";
import { byteSize } from "../format/numbers.ts";
import { translated } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { Moment } from "../ui/moments.tsx";
import { FileRemarks } from "./Gaps.tsx";

/** `image/jpeg` → `jpg`, for the name of a saved file; only plain endings. */
const ENDINGS: Readonly<Record<string, string>> = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "video/mp4": "mp4",
  "application/json": "json",
};

function fileName(item: EvidenceItem): string {
  const ending = ENDINGS[item.media_type];
  return `ngatu-${item.role}-${item.sha256.slice(0, 12)}${ending === undefined ? "" : `.${ending}`}`;
}

export function Evidence({ items, isComplete }: { items: readonly EvidenceItem[]; isComplete: boolean }) {
  const { t, language, clock } = useWords();
  if (items.length === 0) return isComplete ? null : <p className="quiet">{t.noEvidence}</p>;
  return (
    <ul className="evidence">
      {items.map((item) => (
        <li key={`${item.role} ${item.sha256}`}>
          <span className="evidence-what">
            <strong>{t.evidenceRoles[item.role]}</strong>
            <span className="quiet">
              {item.media_type} · {byteSize(item.length, language)}
              {item.captured !== null && (
                <>
                  {" · "}
                  {t.captured} <Moment at={item.captured} />
                </>
              )}
            </span>
            <FileRemarks item={item} />
          </span>
          {item.available && item.url !== null ? (
            <a className="button" href={item.url} download={fileName(item)} lang={clock.language}>
              {t.download}
            </a>
          ) : (
            <span className="quiet">{item.removed === null ? t.evidenceNotYet : t.evidenceGone}</span>
          )}
          <Hash name="SHA-256" digest={item.sha256} />
        </li>
      ))}
    </ul>
  );
}

/** A hash in full, to be compared and copied; a shortened one proves nothing. */
function Hash({ name, digest }: { name: string; digest: string }) {
  const { t } = useWords();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <span className="hash">
      <code title={name}>{digest}</code>
      {/* Browsers offer the clipboard on secure origins only; elsewhere the hash is selected by hand. */}
      {window.isSecureContext && (
        <button
          type="button"
          className="link"
          aria-label={`${t.copy} ${name}`}
          onClick={() => void navigator.clipboard.writeText(digest).then(() => setCopied(true), () => undefined)}
        >
          {isCopied ? t.copied : t.copy}
        </button>
      )}
    </span>
  );
}

export function History({ entries }: { entries: readonly HistoryEntry[] }) {
  const { t } = useWords();
  if (entries.length === 0) return <p className="quiet">{t.noHistory}</p>;
  return (
    <ol className="history">
      {entries.map((entry, row) => {
        const isMachine = !["acknowledge", "acknowledged", "resolve", "resolved", "lock", "unlock"].includes(entry.action);
        return (
          <li key={`${entry.at} ${row}`} className={isMachine ? "by-machine" : "by-person"}>
            <strong>{translated(t.historyActions, entry.action)}</strong>
            {entry.reason !== null && (
              <span className="reason">{t.reasons[entry.reason as ResolveReason] ?? entry.reason}</span>
            )}
            <span className="quiet">
              {isMachine ? `${t.machineActor} ${entry.actor}` : entry.actor} · <Moment at={entry.at} />
            </span>
            {entry.note !== null && <q>{entry.note}</q>}
          </li>
        );
      })}
    </ol>
  );
}

export function Provenance({ alert }: { alert: AlertDetail }) {
  const { t } = useWords();
  const { provenance, rule } = alert.event;
  const digest = (name: string, value: string | null) =>
    value === null ? <span className="quiet">{t.notStated}</span> : <Hash name={name} digest={value} />;
  return (
    <dl className="provenance">
      <dt>{t.eventId}</dt>
      <dd>
        <code>{alert.id}</code> <span className="quiet">{t.revision} {alert.revision}</span>
      </dd>
      <dt>{t.rule}</dt>
      <dd>
        <code>{rule}</code>
      </dd>
      <dt>{t.agentVersion}</dt>
      <dd>{provenance.agent === "" ? <span className="quiet">{t.notStated}</span> : <code>{provenance.agent}</code>}</dd>
      <dt>{t.model}</dt>
      <dd>{provenance.model === null ? <span className="quiet">{t.notStated}</span> : <code>{provenance.model}</code>}</dd>
      <dt>{t.modelDigest}</dt>
      <dd>{digest(t.modelDigest, provenance.model_digest)}</dd>
      {provenance.second.map((second, row) => (
        <Fragment key={`${second.model} ${row}`}>
          <dt>{t.secondModel}</dt>
          <dd>
            <code>{second.version === null ? second.model : `${second.model}@${second.version}`}</code>
          </dd>
          <dt>{t.modelDigest}</dt>
          <dd>{digest(`${second.model}, ${t.modelDigest}`, second.model_digest)}</dd>
          <dt>{t.manifestDigest}</dt>
          <dd>{digest(`${second.model}, ${t.manifestDigest}`, second.manifest_digest)}</dd>
        </Fragment>
      ))}
      <dt>{t.configuration}</dt>
      <dd>{digest(t.configuration, provenance.configuration)}</dd>
      <dt>{t.calibration}</dt>
      <dd>{digest(t.calibration, provenance.calibration)}</dd>
    </dl>
  );
}
