/** The moving pictures of an alert, as the camera sent them. */

import { useState } from "react";
import type { AlertDetail } from "../api/types.ts";
import { inLanguage } from "../i18n/language.ts";
import { useWords } from "../i18n/words.tsx";

export function Clip({ alert }: { alert: AlertDetail }) {
  const { t, language } = useWords();
  const [failed, setFailed] = useState<string | null>(null);
  const clip = alert.evidence.find((item) => item.role === "clip" && item.available);
  if (clip === undefined || clip.url === null) return null;
  const address = clip.url;
  if (failed === address) {
    return (
      <p className="clip-none">
        {t.clipNotPlayed}{" "}
        <a href={address} download={`${clip.sha256.slice(0, 12)}.mp4`}>
          {t.download}
        </a>
      </p>
    );
  }
  return (
    <video
      className="clip"
      src={address}
      controls
      muted
      playsInline
      preload="metadata"
      aria-label={t.clipLabel(inLanguage(alert.title, language))}
      onError={() => setFailed(address)}
      // Sound alone is what a browser shows of pictures that it cannot decode.
      onLoadedMetadata={(event) => {
        if (event.currentTarget.videoWidth === 0) setFailed(address);
      }}
    />
  );
}
