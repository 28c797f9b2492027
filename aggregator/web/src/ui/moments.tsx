/** Times on the screen: how long ago, and when exactly. */

import { useNow } from "../clock.ts";
import { age, clockTime, day, fullTime, isSameDay, millis, offsetOf } from "../format/time.ts";
import { useWords } from "../i18n/words.tsx";

export function Age({ at }: { at: string }) {
  const { language } = useWords();
  const now = useNow();
  const ms = millis(at);
  const text = ms === null ? null : age(ms, now, language);
  return text === null ? null : <span className="age">{text}</span>;
}

/** The wall clock with its offset; the day too where it is not today. */
export function Moment({
  at,
  withDay = "unless-today",
  withOffset = true,
}: {
  at: string | null;
  withDay?: "always" | "unless-today";
  /** False beside another time of the same zone that shows it; the tooltip always has it. */
  withOffset?: boolean;
}) {
  const { clock } = useWords();
  const now = useNow();
  const ms = millis(at);
  if (at === null || ms === null) return <span className="moment">–</span>;
  const isToday = withDay === "unless-today" && isSameDay(ms, now, clock.zone);
  return (
    <time className="moment" dateTime={at} title={fullTime(at, clock)}>
      {isToday ? "" : `${day(at, clock)} `}
      {clockTime(at, clock)}
      {withOffset && <span className="offset"> {offsetOf(ms, clock.zone)}</span>}
    </time>
  );
}
