/**
 * Everything that keeps itself up to date: the list of alerts, the cameras and
 * boxes, and the line to the centre they come over.
 *
 * Order matters. The first page is asked for only once the stream is open (or
 * has failed to open), so an alert between the two is never missed; and after
 * every reconnection the page is asked for again, so the screen is right even
 * where the centre could not resume.
 */

import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import * as client from "./api/client.ts";
import { alertSummary, boxStatus, cameraStatus } from "./api/decode.ts";
import { isAborted, problemOf } from "./api/problem.ts";
import { openStream, type Connection, type News, type Stream } from "./api/stream.ts";
import type { AlertDetail, AlertState, AlertSummary, BoxStatus, CameraStatus, KindCount } from "./api/types.ts";
import { emptyFeed, feedAfter, type Feed } from "./alerts/feed.ts";
import { writeFilter, type Filter } from "./alerts/filter.ts";
import { EMPTY_FLEET, fleetAfter, type Fleet } from "./cameras/fleet.ts";

const PAGE = 50;
const LARGEST_PAGE = 200;
/** News within this time are shown together: a burst is one repaint, not hundreds. */
const GATHER_MS = 100;
/** A stream that has not opened by then (a proxy that buffers) does not hold up the list. */
const FIRST_PAGE_AFTER_MS = 1_500;
/** The counts per kind follow the news, but no closer than this. */
const COUNT_AGAIN_MS = 5_000;

export interface Live {
  feed: Feed;
  fleet: Fleet;
  kinds: readonly KindCount[];
  connection: Connection;
  /** Asks for the list, the cameras and the counts again. */
  reload: () => void;
  loadMore: () => void;
  /** Reconnects at once. */
  retryNow: () => void;
  markSeen: () => void;
  /** Sends a decision; the list shows it at once and takes it back if the centre refuses. */
  decide: (id: string, state: AlertState, send: () => Promise<AlertDetail>) => Promise<AlertDetail>;
}

function pageQuery(filter: Filter, limit: number, cursor: string | null): URLSearchParams {
  const query = new URLSearchParams();
  writeFilter(filter, query);
  query.set("limit", String(limit));
  if (cursor !== null) query.set("cursor", cursor);
  return query;
}

export function useLive(filter: Filter, open: string | null): Live {
  const [feed, dispatch] = useReducer(feedAfter, filter, emptyFeed);
  const [fleet, tellFleet] = useReducer(fleetAfter, EMPTY_FLEET);
  const [kinds, setKinds] = useState<readonly KindCount[]>([]);
  const [connection, setConnection] = useState<Connection>({ phase: "connecting" });
  /** How often everything has been asked for; 0 while the stream is still opening. */
  const [round, setRound] = useState(0);
  const [countRound, setCountRound] = useState(0);
  const stream = useRef<Stream | null>(null);
  const more = useRef<AbortController | null>(null);
  const rows = useRef(0);
  rows.current = feed.items.length;

  const reload = useCallback(() => setRound((count) => count + 1), []);

  useEffect(() => {
    let gathered: News[] = [];
    let timer: ReturnType<typeof setTimeout> | null = null;
    let countTimer: ReturnType<typeof setTimeout> | null = null;
    const flush = () => {
      timer = null;
      const news = gathered;
      gathered = [];
      const alerts: AlertSummary[] = [];
      const cameras: CameraStatus[] = [];
      const boxes: BoxStatus[] = [];
      for (const { event, data } of news) {
        if (event === "alert") {
          const alert = alertSummary(data);
          if (alert !== null) alerts.push(alert);
        } else if (event === "camera") {
          const camera = cameraStatus(data);
          if (camera !== null) cameras.push(camera);
        } else if (event === "box") {
          const box = boxStatus(data);
          if (box !== null) boxes.push(box);
        }
      }
      if (alerts.length > 0) {
        dispatch({ type: "news", alerts });
        countTimer ??= setTimeout(() => {
          countTimer = null;
          setCountRound((count) => count + 1);
        }, COUNT_AGAIN_MS);
      }
      if (cameras.length + boxes.length > 0) tellFleet({ type: "news", news: { cameras, boxes } });
    };
    const opened = openStream({
      url: client.STREAM_URL,
      onNews: (news) => {
        gathered.push(news);
        timer ??= setTimeout(flush, GATHER_MS);
      },
      onConnection: (now) => {
        setConnection(now);
        if (now.phase === "live") reload();
        else if (now.phase === "reconnecting") setRound((count) => Math.max(1, count));
      },
    });
    stream.current = opened;
    const patience = setTimeout(() => setRound((count) => Math.max(1, count)), FIRST_PAGE_AFTER_MS);
    const lookAgain = () => {
      if (!document.hidden) opened.retryNow();
    };
    window.addEventListener("online", lookAgain);
    document.addEventListener("visibilitychange", lookAgain);
    return () => {
      clearTimeout(patience);
      if (timer !== null) clearTimeout(timer);
      if (countTimer !== null) clearTimeout(countTimer);
      window.removeEventListener("online", lookAgain);
      document.removeEventListener("visibilitychange", lookAgain);
      opened.close();
    };
  }, [reload]);

  const filterWords = pageQuery(filter, PAGE, null).toString();
  // The filter is rebuilt with every change of the address; what it says counts, not which object says it.
  const steadyFilter = useMemo(() => filter, [filterWords]);

  useEffect(() => {
    if (round === 0) return;
    const abort = new AbortController();
    more.current?.abort();
    dispatch({ type: "reload", filter: steadyFilter });
    const limit = Math.max(PAGE, Math.min(LARGEST_PAGE, rows.current));
    client.alerts(pageQuery(steadyFilter, limit, null), abort.signal).then(
      (page) => dispatch({ type: "loaded", page }),
      (thrown: unknown) => {
        if (!isAborted(thrown)) dispatch({ type: "failed", problem: problemOf(thrown) });
      },
    );
    return () => abort.abort();
  }, [steadyFilter, round]);

  useEffect(() => {
    if (round === 0) return;
    const abort = new AbortController();
    tellFleet({ type: "reload" });
    client.cameras(abort.signal).then(
      (list) => tellFleet({ type: "loaded", list }),
      (thrown: unknown) => {
        if (!isAborted(thrown)) tellFleet({ type: "failed", problem: problemOf(thrown) });
      },
    );
    return () => abort.abort();
  }, [round]);

  useEffect(() => {
    if (round === 0) return;
    const abort = new AbortController();
    // The counts only decorate; without them the filter offers the kinds in the list.
    client.kinds(abort.signal).then(setKinds, () => undefined);
    return () => abort.abort();
  }, [round, countRound]);

  useEffect(() => dispatch({ type: "opened", id: open }), [open]);

  const { next, isLoadingMore, phase } = feed;
  const loadMore = useCallback(() => {
    if (next === null || isLoadingMore || phase !== "ready") return;
    const abort = new AbortController();
    more.current = abort;
    dispatch({ type: "more" });
    client.alerts(pageQuery(steadyFilter, PAGE, next), abort.signal).then(
      (page) => dispatch({ type: "moreLoaded", page }),
      (thrown: unknown) => {
        if (!isAborted(thrown)) dispatch({ type: "moreFailed", problem: problemOf(thrown) });
      },
    );
  }, [next, isLoadingMore, phase, steadyFilter]);

  const decide = useCallback<Live["decide"]>(async (id, state, send) => {
    dispatch({ type: "deciding", id, state });
    try {
      const answer = await send();
      dispatch({ type: "settled", id, alert: answer });
      return answer;
    } catch (thrown) {
      dispatch({ type: "settled", id, alert: null });
      throw thrown;
    }
  }, []);

  const retryNow = useCallback(() => stream.current?.retryNow(), []);
  const markSeen = useCallback(() => dispatch({ type: "seen" }), []);
  return { feed, fleet, kinds, connection, reload, loadMore, retryNow, markSeen, decide };
}
