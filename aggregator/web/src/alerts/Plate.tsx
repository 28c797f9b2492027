/** What was read of one road user's plate, with what speaks against it. */

import type { NumberPlate } from "../api/types.ts";
import { numberText } from "../format/numbers.ts";
import { inLanguage } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";

export function Plate({ plate }: { plate: NumberPlate }) {
  const { t, language } = useWords();
  const percent = (share: number) => numberText(share, language, { style: "percent", maximumFractionDigits: 0 });
  const sureness = plate.characters.map(({ leading, confidence }) => `${leading} ${percent(confidence)}`).join(", ");
  return (
    <div className="plate" data-stated={plate.is_stated}>
      <p>
        {t.plate} <b className="number">{plate.display === "" ? t.plateUnread : plate.display}</b>{" "}
        <span className="quiet">
          {plate.is_stated
            ? t.plateAgreed(plate.looks, plate.of)
            : [t.plateNotStated, plate.reason === null ? "" : inLanguage(plate.reason, language)].filter((part) => part !== "").join(": ")}
        </span>
      </p>
      {plate.may_be_cut && <p className="plate-caution">{t.plateMayBeCut}</p>}
      {plate.corrections.map(({ position, read, taken, looks }) => (
        <p key={`${position} ${read} ${taken}`} className="plate-caution">
          {t.plateCorrected(position + 1, read, taken, looks)}
        </p>
      ))}
      {sureness !== "" && (
        <p className="quiet">
          {t.plateSureness}: <span className="number">{sureness}</span>
        </p>
      )}
    </div>
  );
}
