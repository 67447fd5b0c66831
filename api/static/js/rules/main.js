// The page of the bureau's rules: each part reads and writes the JSON interface; every refusal is the server's own sentence.
import { get } from "../api.js";
import { $, fill, h } from "../dom.js";
import { known, t, word } from "../messages.js";
import { moment } from "../times.js";
import { showCalendar } from "./calendar.js";
import { showCategories } from "./categories.js";
import { showChannels } from "./channels.js";
import { showChasing, showStages } from "./limits.js";

const shown = (values) => (values === null ? "–" : Object.entries(values)
  .map(([name, value]) => `${known(`rules.${name}`) ? t(`rules.${name}`) : name}: ${Array.isArray(value) ? value.join(", ") || "–" : value ?? "–"}`).join(", "));

async function showChanges() {
  const rows = await get("admin/changes", { limit: 50 });
  fill($("#change-rows"), rows.length ? rows.map((row) => h("li", {},
    h("span", { class: "grow" },
      h("b", { text: `${word("rules.subject", row.subject)} ${row.code}` }), " ",
      h("span", { text: `${shown(row.before)} → ${shown(row.after)}` }), " ",
      h("span", { class: "muted", text: `${moment(row.at)} ${row.actor.replace("account:", "")} · ${t("rules.from")} ${moment(row.from)}` }))))
    : h("li", { class: "muted", text: t("rules.no_changes") }));
}

document.addEventListener("rules-changed", showChanges);
showCategories();
showStages();
showChasing();
showChannels();
showCalendar();
showChanges();
