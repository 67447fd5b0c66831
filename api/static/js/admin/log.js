// Who changed what: accounts, people, posts, imports, base maps, words, rules; the newest first, by what and by whom.
import { get } from "../api.js";
import { $, fill, h } from "../dom.js";
import { t } from "../messages.js";
import { changeLine } from "./changes.js";

const MOST = 50;
const list = $("#log-rows");
let oldest = null;

async function show(more = false) {
  const asked = { subject: $("#log-subject").value, actor: $("#log-actor").value, limit: MOST, before: more ? oldest : null };
  try {
    const found = await get("admin/changes", asked);
    if (more) list.append(...found.map(changeLine));
    else fill(list, found.length ? found.map(changeLine) : h("li", { class: "muted", text: t("log.nothing") }));
    oldest = found.at(-1)?.id ?? oldest;
    $("#log-more").hidden = found.length < MOST;
  } catch (problem) {
    fill(list, h("li", {}, h("p", { class: "note red" }, h("span", { class: "grow", text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: () => show() } }))));
  }
}

for (const id of ["#log-subject", "#log-actor"]) $(id).addEventListener("change", () => show());
$("#log-more").addEventListener("click", () => show(true));
document.addEventListener("administration-changed", () => show());
show();
