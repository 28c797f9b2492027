/** One alert in full, asked for again whenever a newer version of it was heard of. */

import { useCallback, useEffect, useState } from "react";
import * as client from "../api/client.ts";
import { isAborted, problemOf, type Problem } from "../api/problem.ts";
import type { AlertDetail } from "../api/types.ts";

export interface OpenAlert {
  detail: AlertDetail | null;
  problem: Problem | null;
  /** Takes an answer of the centre without asking again. */
  accept: (detail: AlertDetail) => void;
  reload: () => void;
}

/** `heardChange`: change number of the newest version known from the list or the stream. */
export function useOpenAlert(id: string, heardChange: number): OpenAlert {
  const [detail, setDetail] = useState<AlertDetail | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [round, setRound] = useState(0);
  const isCurrent = detail !== null && detail.id === id && detail.change >= heardChange;

  const accept = useCallback((answer: AlertDetail) => {
    // An answer overtaken by a newer one must not bring the old state back.
    setDetail((known) => (known !== null && known.id === answer.id && known.change > answer.change ? known : answer));
    setProblem(null);
  }, []);

  useEffect(() => {
    if (isCurrent && round === 0) return;
    const abort = new AbortController();
    client.alert(id, abort.signal).then(
      (answer) => {
        accept(answer);
        setRound(0);
      },
      (thrown: unknown) => {
        if (!isAborted(thrown)) setProblem(problemOf(thrown));
      },
    );
    return () => abort.abort();
  }, [id, heardChange, round, accept]);

  const reload = useCallback(() => {
    setProblem(null);
    setRound((count) => count + 1);
  }, []);
  return { detail: detail?.id === id ? detail : null, problem, accept, reload };
}
