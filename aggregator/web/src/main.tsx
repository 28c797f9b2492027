/** Where the screen starts. */

import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { Words } from "./i18n/words.tsx";
import { Guard } from "./ui/notices.tsx";
import "./styles/screen.css";

const place = document.getElementById("screen");
if (place === null) throw new Error("index.html has no element with the id `screen`");
createRoot(place).render(
  // Outside the chosen language there are only both.
  <Words>
    <Guard text="Màn hình gặp lỗi · The screen ran into an error" action="Tải lại · Reload">
      <App />
    </Guard>
  </Words>,
);
