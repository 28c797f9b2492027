/**
 * The list. Long lists stay fast without a virtualiser: rows outside the window
 * are skipped by the browser (`content-visibility`), their pictures are lazy,
 * and the feed keeps a bounded number of them; find-in-page and screen readers
 * still see every row.
 */

import { useEffect, useRef } from "react";
import type { Live } from "../live.ts";
import { useWords } from "../i18n/words.tsx";
import { Failure, Notice, problemText } from "../ui/notices.tsx";
import { AlertRow } from "./AlertRow.tsx";
import { MOST_ROWS, shownState } from "./feed.ts";
import { isFiltering } from "./filter.ts";

export interface AlertListProps {
  live: Live;
  open: string | null;
  hrefOf: (id: string) => string;
  onOpen: (id: string) => void;
  onClearFilter: () => void;
}

export function AlertList({ live, open, hrefOf, onOpen, onClearFilter }: AlertListProps) {
  const { t } = useWords();
  const { feed, loadMore, reload } = live;
  const list = useRef<HTMLOListElement>(null);

  // The open row is kept in view: with j and k the operator looks at the detail, not at the list.
  useEffect(() => {
    if (open === null) return;
    const row = list.current?.querySelector(`[data-alert="${CSS.escape(open)}"]`);
    row?.scrollIntoView({ block: "nearest" });
  }, [open]);

  if (feed.items.length === 0) {
    if (feed.phase === "loading") return <LoadingRows />;
    if (feed.phase === "failed" && feed.problem !== null) {
      return <Failure title={t.listFailed} problem={feed.problem} onRetry={reload} />;
    }
    return isFiltering(feed.filter) ? (
      <Notice title={t.noMatches} hint={t.noMatchesHint}>
        <button type="button" onClick={onClearFilter}>
          {t.clearFilters}
        </button>
      </Notice>
    ) : (
      <Notice title={t.noAlerts} hint={t.noAlertsHint} />
    );
  }

  return (
    <>
      {feed.phase === "failed" && feed.problem !== null && (
        <Failure title={t.listFailed} problem={feed.problem} onRetry={reload} />
      )}
      <ol className="rows" ref={list} aria-label={t.alerts} aria-busy={feed.phase === "loading"}>
        {feed.items.map((alert) => (
          <AlertRow
            key={alert.id}
            alert={alert}
            state={shownState(feed, alert)}
            isPending={feed.pending.has(alert.id)}
            isOpen={alert.id === open}
            isUnseen={feed.unseen.has(alert.id)}
            href={hrefOf(alert.id)}
            onOpen={onOpen}
          />
        ))}
      </ol>
      <div className="list-end">
        {feed.next !== null ? (
          <>
            {feed.problem !== null && feed.phase === "ready" && <p role="alert">{problemText(feed.problem, t)}</p>}
            <LoadMore isLoading={feed.isLoadingMore} hasFailed={feed.problem !== null} onLoad={loadMore} />
          </>
        ) : (
          <p>{feed.items.length >= MOST_ROWS ? t.listCapped(MOST_ROWS) : t.endOfList}</p>
        )}
      </div>
    </>
  );
}

/** A button, pressed by itself when it comes near the window; after a failure only by hand. */
function LoadMore({ isLoading, hasFailed, onLoad }: { isLoading: boolean; hasFailed: boolean; onLoad: () => void }) {
  const { t } = useWords();
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const target = button.current;
    if (target === null || isLoading || hasFailed) return;
    const near = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) onLoad();
      },
      { rootMargin: "600px" },
    );
    near.observe(target);
    return () => near.disconnect();
  }, [isLoading, hasFailed, onLoad]);
  return (
    <button ref={button} type="button" onClick={onLoad} disabled={isLoading}>
      {isLoading ? t.loadingMore : t.loadMore}
    </button>
  );
}

function LoadingRows() {
  const { t } = useWords();
  return (
    <div className="rows" role="status" aria-label={t.loading}>
      {Array.from({ length: 6 }, (_, row) => (
        <div key={row} className="row row-loading" aria-hidden="true">
          <span className="thumb" />
          <span className="bars">
            <i />
            <i />
            <i />
          </span>
        </div>
      ))}
    </div>
  );
}
