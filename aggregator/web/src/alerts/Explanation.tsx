/** Why the machine says so: every predicate with its value, threshold, margin and frames. */

import { Fragment } from "react";
import type { FrameTime, Predicate } from "../api/types.ts";
import { COMPARISON_SIGNS, marginShare, numberText, quantity, unitText, valueText } from "../format/numbers.ts";
import { frameClock } from "../format/time.ts";
import { inLanguage } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";

export function Explanation({ predicates }: { predicates: readonly Predicate[] }) {
  const { t, language } = useWords();
  if (predicates.length === 0) return <p className="quiet">{t.noExplanation}</p>;
  return (
    <>
      <p className="quiet">{t.explanationHint}</p>
      <table className="explanation">
        <thead>
          <tr>
            <th scope="col">{t.predicate}</th>
            <th scope="col">{t.measured}</th>
            <th scope="col">{t.threshold}</th>
            <th scope="col">{t.margin}</th>
            <th scope="col">{t.frames}</th>
          </tr>
        </thead>
        <tbody>
          {predicates.map((predicate, row) => (
            <tr key={`${row} ${predicate.name}`} className={predicate.holds ? "" : "is-false"}>
              <th scope="row">
                <span className="condition">
                  <span className="check" role="img" aria-label={predicate.holds ? t.holds : t.holdsNot}>
                    {predicate.holds ? "✓" : "✗"}
                  </span>
                  <span>
                    {inLanguage(predicate.label, language)}
                    <Code word={predicate.name} />
                  </span>
                </span>
              </th>
              <td data-label={t.measured} className="number strong">
                {valueText(predicate.value, predicate.unit, language, t)}
              </td>
              <td data-label={t.threshold} className="number">
                <span>
                  <abbr title={t.comparisons[predicate.comparison]}>{COMPARISON_SIGNS[predicate.comparison]}</abbr>{"\u00a0"}
                  {valueText(predicate.threshold, predicate.unit, language, t)}
                </span>
              </td>
              <td data-label={t.margin} className="number">
                <Margin predicate={predicate} />
              </td>
              <td data-label={t.frames} className="frames">
                <span>
                  <Frames first={predicate.first} last={predicate.last} />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** A code that may break after its underscores, but nowhere else. */
function Code({ word }: { word: string }) {
  return (
    <code>
      {word.split(/(?<=_)/).map((part, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </code>
  );
}

/** Middle: the threshold. Right of it: on the side of the event. */
function Margin({ predicate }: { predicate: Predicate }) {
  const { t, language } = useWords();
  const share = marginShare(predicate);
  if (share === null || predicate.margin === null) return <span className="quiet">–</span>;
  const sign = predicate.margin > 0 ? "+" : "";
  const width = `${Math.abs(share) * 50}%`;
  return (
    <span className="margin">
      <span>
        {sign}
        {quantity(predicate.margin, unitText(predicate.unit, t), language)}
      </span>
      <span
        className="margin-bar"
        role="img"
        aria-label={`${t.margin}: ${sign}${numberText(share, language, { style: "percent", maximumFractionDigits: 0 })}`}
      >
        <i className={share < 0 ? "against" : "for"} style={share < 0 ? { right: "50%", width } : { left: "50%", width }} />
      </span>
    </span>
  );
}

function Frames({ first, last }: { first: FrameTime | null; last: FrameTime | null }) {
  const { t, language, clock } = useWords();
  if (first === null && last === null) return <span className="quiet">–</span>;
  const show = (at: FrameTime) => (
    <span className="frame-time">
      <time dateTime={at.time}>{frameClock(at.time, clock)}</time>
      <span className="quiet" title={t.frame(numberText(at.frame, language))}>
        #{at.frame}
      </span>
    </span>
  );
  if (first === null || last === null || (first.frame === last.frame && first.time === last.time)) {
    const only = last ?? first;
    return only === null ? null : show(only);
  }
  return (
    <>
      {show(first)}
      {show(last)}
    </>
  );
}
