/**
 * The lock on an alert's evidence: who set it and why, or the switch to set it.
 *
 * It is not a decision about the alert: any alert's evidence can be locked, also
 * one that is resolved. A reason is asked for both ways, because an auditor will.
 */

import { useId, useState, type FormEvent } from "react";
import * as client from "../api/client.ts";
import { problemOf, type Problem } from "../api/problem.ts";
import type { AlertDetail } from "../api/types.ts";
import { useWords } from "../i18n/words.tsx";
import { choose, usePreferences } from "../preferences.ts";
import { Moment } from "../ui/moments.tsx";
import { problemText } from "../ui/notices.tsx";

const LONGEST_NAME = 100;
const LONGEST_REASON = 2_000;

export interface EvidenceLockProps {
  alert: AlertDetail;
  /** The centre's answer, to show without asking again. */
  onDecided: (answer: AlertDetail) => void;
  /** Somebody else was first: what is shown is old. */
  onConflict: () => void;
}

export function EvidenceLock({ alert, onDecided, onConflict }: EvidenceLockProps) {
  const { t } = useWords();
  const { actor } = usePreferences();
  const [isAsking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const [isSending, setSending] = useState(false);
  const ids = { name: useId(), reason: useId(), fault: useId() };
  const { lock } = alert;

  const faultText = (problem: Problem) =>
    `${t.decisionFailed}. ${
      problem.cause === "refused" && problem.status === 409 ? t.decisionConflict : problemText(problem, t)
    }`;
  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (isSending) return;
    const [who, why] = [actor.trim(), reason.trim()];
    if (who === "") return setFault(t.nameMissing);
    if (why === "") return setFault(t.lockReasonMissing);
    setFault(null);
    setSending(true);
    try {
      onDecided(await client.setLock(alert.id, lock === null, who, why));
      setAsking(false);
      setReason("");
    } catch (thrown) {
      const problem = problemOf(thrown);
      setFault(faultText(problem));
      if (problem.cause === "refused" && problem.status === 409) onConflict();
    } finally {
      setSending(false);
    }
  };

  return (
    <div className="evidence-lock" data-locked={lock !== null}>
      <p>
        <button
          type="button"
          role="switch"
          className="switch"
          aria-checked={lock !== null}
          aria-expanded={isAsking}
          data-action="lock"
          onClick={() => {
            setAsking(!isAsking);
            setFault(null);
          }}
        >
          {lock === null ? t.lockOff : t.lockOn}
        </button>
      </p>
      {lock === null ? (
        <p className="quiet">{t.lockHint}</p>
      ) : (
        <p>
          <span className="quiet">
            {lock.actor}
            {lock.at !== null && (
              <>
                {" · "}
                <Moment at={lock.at} />
              </>
            )}
          </span>{" "}
          <q>{lock.reason}</q>
        </p>
      )}
      {isAsking && (
        <form className="decision" onSubmit={(event) => void send(event)} aria-describedby={ids.fault} noValidate>
          <label htmlFor={ids.name}>{t.yourName}</label>
          <input
            id={ids.name}
            name="lock-actor"
            autoComplete="name"
            maxLength={LONGEST_NAME}
            value={actor}
            onChange={(event) => choose({ actor: event.target.value })}
          />
          <label htmlFor={ids.reason}>{lock === null ? t.lockReason : t.unlockReason}</label>
          <textarea
            id={ids.reason}
            name="lock-reason"
            rows={2}
            maxLength={LONGEST_REASON}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
          <div className="buttons">
            <button type="submit" className="primary" data-action="confirm-lock" disabled={isSending}>
              {isSending ? t.working : lock === null ? t.lockEvidence : t.unlockEvidence}
            </button>
          </div>
          <p id={ids.fault} className="fault" role="alert">
            {fault}
          </p>
        </form>
      )}
    </div>
  );
}
