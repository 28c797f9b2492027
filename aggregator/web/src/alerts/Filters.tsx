/** The filter bar: severities and states as switches, kinds and cameras as lists to tick. */

import { ALERT_STATES, SEVERITIES, type AlertSummary, type KindCount } from "../api/types.ts";
import type { Fleet } from "../cameras/fleet.ts";
import { kindName } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";
import { SeverityIcon } from "../ui/marks.tsx";
import { Popup } from "../ui/popup.tsx";
import { toggled, type Filter } from "./filter.ts";

export interface FiltersProps {
  filter: Filter;
  items: readonly AlertSummary[];
  kinds: readonly KindCount[];
  fleet: Fleet;
  onFilter: (filter: Filter) => void;
}

interface Choice {
  word: string;
  name: string;
  count?: number;
}

export function Filters({ filter, items, kinds, fleet, onFilter }: FiltersProps) {
  const { t, language } = useWords();

  const counts = new Map(kinds.map(({ kind, count }) => [kind, count]));
  const kindWords = new Set([...counts.keys(), ...items.map((alert) => alert.kind), ...filter.kinds]);
  const kindChoices = [...kindWords].map((word): Choice => {
    const example = items.find((alert) => alert.kind === word);
    const count = counts.get(word);
    return { word, name: kindName(word, example, t, language), ...(count === undefined ? {} : { count }) };
  });

  const cameraNames = new Map<string, string>(filter.cameras.map((camera) => [camera, camera]));
  for (const alert of items) cameraNames.set(alert.camera, alert.camera_name);
  for (const camera of fleet.cameras.values()) cameraNames.set(camera.camera, camera.name);
  const cameraChoices = [...cameraNames].map(([word, name]): Choice => ({ word, name }));

  return (
    <section className="filters" aria-label={t.filters}>
      <div className="switches" role="group" aria-label={t.filterSeverity}>
        {SEVERITIES.map((severity) => (
          <button
            key={severity}
            type="button"
            className={`switch severity-${severity}`}
            aria-pressed={filter.severities.includes(severity)}
            onClick={() => onFilter({ ...filter, severities: SEVERITIES.filter((each) => toggled(filter.severities, severity).includes(each)) })}
          >
            <SeverityIcon severity={severity} />
            <span>{t.severities[severity]}</span>
          </button>
        ))}
      </div>
      <div className="switches" role="group" aria-label={t.filterState}>
        {ALERT_STATES.map((state) => (
          <button
            key={state}
            type="button"
            className="switch"
            aria-pressed={filter.states.includes(state)}
            onClick={() => onFilter({ ...filter, states: ALERT_STATES.filter((each) => toggled(filter.states, state).includes(each)) })}
          >
            {t.states[state]}
          </button>
        ))}
      </div>
      <Choices
        label={t.filterKind}
        choices={kindChoices}
        chosen={filter.kinds}
        onChoose={(words) => onFilter({ ...filter, kinds: words })}
      />
      <Choices
        label={t.filterCamera}
        choices={cameraChoices}
        chosen={filter.cameras}
        onChoose={(words) => onFilter({ ...filter, cameras: words })}
      />
    </section>
  );
}

function Choices({
  label,
  choices,
  chosen,
  onChoose,
}: {
  label: string;
  choices: Choice[];
  chosen: readonly string[];
  onChoose: (words: string[]) => void;
}) {
  const { t, language } = useWords();
  const sorted = [...choices].sort((a, b) => a.name.localeCompare(b.name, language));
  const only = chosen.length === 1 ? sorted.find((choice) => choice.word === chosen[0]) : undefined;
  const summary = chosen.length === 0 ? t.filterAll : (only?.name ?? String(chosen.length));
  return (
    <Popup
      className="switch menu"
      isActive={chosen.length > 0}
      label={
        <>
          <span className="menu-label">{label}:</span> <span className="menu-value">{summary}</span>
          <span className="caret" aria-hidden="true" />
        </>
      }
    >
      <fieldset className="choices">
        <legend>{label}</legend>
        {sorted.length === 0 && <p>{t.none}</p>}
        {sorted.map((choice) => (
          <label key={choice.word}>
            <input
              type="checkbox"
              checked={chosen.includes(choice.word)}
              onChange={() => onChoose(toggled(chosen, choice.word).sort())}
            />
            <span>{choice.name}</span>
            {choice.count !== undefined && <span className="count">{choice.count}</span>}
          </label>
        ))}
      </fieldset>
    </Popup>
  );
}
