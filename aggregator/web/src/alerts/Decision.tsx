/**
 * What the operator may do: take the alert on, then put it away with a reason.
 *
 * The centre decides whether it is allowed; the screen shows the new state at
 * once, and takes it back with the centre's words when it is refused.
 */

import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import * as client from "../api/client.ts";
import { problemOf, type Problem } from "../api/problem.ts";
import { RESOLVE_REASONS, type AlertDetail, type AlertState, type ResolveReason } from "../api/types.ts";
import { useWords } from "../i18n/words.tsx";
import type { Live } from "../live.ts";
import { choose, usePreferences } from "../preferences.ts";
import { problemText } from "../ui/notices.tsx";
import { useShortcuts } from "../ui/shortcuts.ts";

/** As the centre limits them. */
const LONGEST_NAME = 100;
const LONGEST_NOTE = 2_000;

export interface DecisionProps {
  id: string;
  state: AlertState;
  decide: Live["decide"];
  /** The centre's answer, to show without asking again. */
  onDecided: (answer: AlertDetail) => void;
  /** Somebody else was first: what is shown is old. */
  onConflict: () => void;
}

type Missing = "name" | "reason";

export function Decision({ id, state, decide, onDecided, onConflict }: DecisionProps) {
  const { t } = useWords();
  const { actor } = usePreferences();
  const [note, setNote] = useState("");
  const [reason, setReason] = useState<ResolveReason | "">("");
  const [missing, setMissing] = useState<Missing | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [hint, setHint] = useState<string | null>(null);
  const [isSending, setSending] = useState(false);
  const name = useRef<HTMLInputElement>(null);
  const reasons = useRef<HTMLSelectElement>(null);
  const ids = { name: useId(), reason: useId(), note: useId(), fault: useId() };

  useEffect(() => setHint(null), [state]);

  const need = (what: Missing) => {
    setMissing(what);
    (what === "name" ? name : reasons).current?.focus();
  };

  const send = async (next: AlertState, call: (who: string, words: string) => Promise<AlertDetail>) => {
    const who = actor.trim();
    if (who === "") return need("name");
    setMissing(null);
    setProblem(null);
    setHint(null);
    setSending(true);
    try {
      onDecided(await decide(id, next, () => call(who, note.trim())));
      setNote("");
    } catch (thrown) {
      const fault = problemOf(thrown);
      setProblem(fault);
      if (fault.cause === "refused" && fault.status === 409) onConflict();
    } finally {
      setSending(false);
    }
  };

  const acknowledge = () => {
    if (state !== "new" || isSending) return;
    void send("acknowledged", (who, words) => client.acknowledge(id, who, words));
  };
  const resolve = (event?: FormEvent) => {
    event?.preventDefault();
    if (state === "new") return acknowledge();
    if (state !== "acknowledged" || isSending) return;
    if (actor.trim() === "") return need("name");
    if (reason === "") return need("reason");
    void send("resolved", (who, words) => client.resolve(id, who, reason, words));
  };

  useShortcuts({
    a: acknowledge,
    r: () => {
      if (state === "new") setHint(t.acknowledgeFirst);
      else if (state === "acknowledged") need(actor.trim() === "" ? "name" : "reason");
    },
  });

  const fault =
    missing === "name"
      ? t.nameMissing
      : missing === "reason" && reason === ""
        ? t.reasonMissing
        : problem !== null
          ? `${t.decisionFailed}. ${
              problem.cause === "refused" && problem.status === 409 ? t.decisionConflict : problemText(problem, t)
            }`
          : hint;

  if (state === "resolved" && !isSending) {
    return (
      <>
        <p className="quiet">{t.alreadyResolved}</p>
        {problem !== null && <p className="fault" role="alert">{fault}</p>}
      </>
    );
  }

  return (
    <form className="decision" onSubmit={resolve} aria-describedby={ids.fault} noValidate>
      <label htmlFor={ids.name}>
        {t.yourName} <span className="quiet">({t.yourNameHint})</span>
      </label>
      <input
        id={ids.name}
        ref={name}
        name="actor"
        autoComplete="name"
        maxLength={LONGEST_NAME}
        value={actor}
        aria-invalid={missing === "name"}
        onChange={(event) => {
          choose({ actor: event.target.value });
          if (missing === "name") setMissing(null);
        }}
      />
      {state !== "new" && (
        <>
          <label htmlFor={ids.reason}>{t.reason}</label>
          <select
            id={ids.reason}
            ref={reasons}
            name="reason"
            required
            value={reason}
            aria-invalid={missing === "reason"}
            onChange={(event) => {
              setReason(RESOLVE_REASONS.find((each) => each === event.target.value) ?? "");
              if (missing === "reason") setMissing(null);
            }}
          >
            <option value="">{t.chooseReason}</option>
            {RESOLVE_REASONS.map((each) => (
              <option key={each} value={each}>
                {t.reasons[each]}
              </option>
            ))}
          </select>
        </>
      )}
      <label htmlFor={ids.note}>
        {t.note} <span className="quiet">({t.noteOptional})</span>
      </label>
      <textarea
        id={ids.note}
        name="note"
        rows={2}
        maxLength={LONGEST_NOTE}
        value={note}
        onChange={(event) => setNote(event.target.value)}
      />
      <div className="buttons">
        {state === "new" ? (
          <button type="button" className="primary" data-action="acknowledge" onClick={acknowledge} disabled={isSending} aria-keyshortcuts="a">
            {isSending ? t.working : t.acknowledge} <kbd>a</kbd>
          </button>
        ) : (
          <button type="submit" className="primary" data-action="resolve" disabled={isSending} aria-keyshortcuts="r">
            {isSending ? t.working : t.resolve} <kbd>r</kbd>
          </button>
        )}
        {state === "new" && (
          <button type="button" data-action="resolve" disabled title={t.acknowledgeFirst}>
            {t.resolve} <kbd>r</kbd>
          </button>
        )}
      </div>
      <p id={ids.fault} className="fault" role="alert">
        {fault}
      </p>
    </form>
  );
}
