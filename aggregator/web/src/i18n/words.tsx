/** The chosen language, for components: dictionary, code and clock in one. */

import { createContext, useContext, useMemo, type ReactNode } from "react";
import type { Clock } from "../format/time.ts";
import { usePreferences } from "../preferences.ts";
import type { Dictionary, Language } from "./dictionary.ts";
import { DICTIONARIES } from "./language.ts";

export interface Spoken {
  t: Dictionary;
  language: Language;
  clock: Clock;
}

const SpokenContext = createContext<Spoken | null>(null);

export function Words({ children }: { children: ReactNode }) {
  const { language, zone } = usePreferences();
  const spoken = useMemo(
    () => ({ t: DICTIONARIES[language], language, clock: { language, zone } }),
    [language, zone],
  );
  return <SpokenContext value={spoken}>{children}</SpokenContext>;
}

export function useWords(): Spoken {
  const spoken = useContext(SpokenContext);
  if (spoken === null) throw new Error("useWords is called outside <Words>");
  return spoken;
}
