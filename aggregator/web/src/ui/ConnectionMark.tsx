/** Is what is on the screen true now? And if not, since when. */

import { useEffect, useState } from "react";
import type { Connection } from "../api/stream.ts";
import { clockTime } from "../format/time.ts";
import { useWords } from "../i18n/words.tsx";

/** A short break is not worth worrying anybody about; after this, what is shown counts as stale. */
const STALE_AFTER_MS = 8_000;

type Shown = "live" | "connecting" | "reconnecting" | "stale" | "offline";

function useIsOnline(): boolean {
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const look = () => setOnline(navigator.onLine);
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    return () => {
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
    };
  }, []);
  return isOnline;
}

/** Whether the line has been down long enough to say so. */
function useIsStale(connection: Connection): boolean {
  const [isStale, setStale] = useState(false);
  const isDown = connection.phase === "reconnecting";
  useEffect(() => {
    if (!isDown) {
      setStale(false);
      return;
    }
    const timer = setTimeout(() => setStale(true), STALE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isDown]);
  return isStale;
}

export function ConnectionMark({ connection, onRetry }: { connection: Connection; onRetry: () => void }) {
  const { t, clock } = useWords();
  const isOnline = useIsOnline();
  const isStale = useIsStale(connection);
  const shown: Shown =
    connection.phase !== "reconnecting" ? connection.phase : !isOnline ? "offline" : isStale ? "stale" : "reconnecting";
  const heard = connection.phase === "reconnecting" ? connection.lastHeard : null;
  const since = heard === null ? t.neverHeard : t.staleSince(clockTime(new Date(heard).toISOString(), clock));
  const text = {
    live: t.live,
    connecting: t.connecting,
    reconnecting: t.reconnecting,
    stale: since,
    offline: `${t.offline}. ${since}`,
  }[shown];
  return (
    <span className={`connection connection-${shown}`} data-connection={shown} role="status" title={shown === "live" ? undefined : t.connectionHint}>
      <span className="lamp" aria-hidden="true" />
      <span className="connection-text">{text}</span>
      {(shown === "stale" || shown === "offline") && (
        <button type="button" className="link" onClick={onRetry}>
          {t.tryNow}
        </button>
      )}
    </span>
  );
}
