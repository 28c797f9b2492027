/** The table of shortcuts, in the browser's own modal dialog. */

import { useEffect, useRef } from "react";
import { useWords } from "../i18n/words.tsx";

export function ShortcutHelp({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  const rows: [keys: string[], does: string][] = [
    [["j"], t.shortcutNext],
    [["k"], t.shortcutPrevious],
    [["n"], t.shortcutNewest],
    [["a"], t.shortcutAcknowledge],
    [["r"], t.shortcutResolve],
    [["c"], t.shortcutStill],
    [["v"], t.shortcutCameras],
    [["Esc"], t.shortcutClose],
    [["?"], t.shortcutHelp],
  ];
  return (
    <dialog
      ref={dialog}
      className="help"
      aria-labelledby="shortcuts-title"
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && onClose()}
    >
      <div className="help-body">
        <h2 id="shortcuts-title">{t.shortcuts}</h2>
        <table>
          <tbody>
            {rows.map(([keys, does]) => (
              <tr key={does}>
                <th scope="row">
                  {keys.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </th>
                <td>{does}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p className="quiet">{t.zoomHint}</p>
        <button type="button" onClick={onClose}>
          {t.close}
        </button>
      </div>
    </dialog>
  );
}
