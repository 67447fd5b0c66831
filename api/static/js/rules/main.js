// The page of the bureau's rules: each part reads and writes the JSON interface; every refusal is the server's own sentence.
import { changeLine } from "../admin/changes.js";
import { get } from "../api.js";
import { $, fill, h } from "../dom.js";
import { t } from "../messages.js";
import { showCalendar } from "./calendar.js";
import { showCategories } from "./categories.js";
import { showChannels } from "./channels.js";
import { showChasing, showStages } from "./limits.js";

const RULES = "category,condition,stage_limit,chase_rule,calendar_day,calendar_year,channel";

async function showChanges() {
  const rows = await get("admin/changes", { subject: RULES, limit: 50 });
  fill($("#change-rows"), rows.length ? rows.map(changeLine) : h("li", { class: "muted", text: t("rules.no_changes") }));
}

document.addEventListener("rules-changed", showChanges);
showCategories();
showStages();
showChasing();
showChannels();
showCalendar();
showChanges();
