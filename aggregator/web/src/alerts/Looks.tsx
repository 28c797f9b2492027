/** What was seen in the looks that voted for an alert: cut-outs beside the numbers, so that a person judges the head itself. */

import type { AlertDetail, Look } from "../api/types.ts";
import { numberText } from "../format/numbers.ts";
import { frameClock } from "../format/time.ts";
import { inLanguage, translated } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";

export function Looks({ alert }: { alert: AlertDetail }) {
  const { t } = useWords();
  const { looks } = alert.event;
  if (looks.length === 0) return null;
  return (
    <div className="looks">
      <h4>{t.looks}</h4>
      <p className="quiet">{t.looksHint}</p>
      <ul>
        {looks.map((look) => (
          <li key={look.taken}>
            <Crop look={look} alert={alert} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Crop({ look, alert }: { look: Look; alert: AlertDetail }) {
  const { t, language, clock } = useWords();
  // One look at a moment: nobody else's crop has its time.
  const item = alert.evidence.find((each) => each.role === "finding_crop" && each.captured === look.taken);
  const gap = alert.missing.find((each) => each.role === "finding_crop" && each.at === look.taken);
  const what = translated(t.words, look.class);
  const score = numberText(look.score, language, { style: "percent", maximumFractionDigits: 0 });
  return (
    <figure className="look">
      {item?.available === true && item.url !== null ? (
        <span className="look-picture">
          <img src={item.url} alt={t.lookAlt(what, score)} />
          {look.bounds !== null && <span className="look-box" aria-hidden="true" style={within(look.bounds, look.part)} />}
        </span>
      ) : (
        <span className="look-none quiet">
          {gap !== undefined ? inLanguage(gap.reason, language) : item !== undefined && item.removed !== null ? t.evidenceGone : t.evidenceNotYet}
        </span>
      )}
      <figcaption>
        <span>
          <strong>{what}</strong> <span className="number">{score}</span>
        </span>
        <span>
          <time dateTime={look.taken}>{frameClock(look.taken, clock)}</time> <span className="quiet">#{look.at.frame}</span>
        </span>
        <span className="quiet">{look.is_second ? t.lookBySecond : t.lookByDetector}</span>
        {item !== undefined && item.note !== null && <span className="quiet">{inLanguage(item.note, language)}</span>}
      </figcaption>
    </figure>
  );
}

/** Where a box is within a part of the picture. */
function within([x, y, width, height]: Look["part"], [left, top, wide, high]: Look["part"]) {
  const percent = (share: number) => `${share * 100}%`;
  return {
    left: percent((x - left) / wide),
    top: percent((y - top) / high),
    width: percent(width / wide),
    height: percent(height / high),
  };
}
