// The list at the change of shift: what is open by queue since a moment, to read and to print, and the notes.
import "../page.js";
import { $, fill, h, icon, toast } from "../dom.js";
import { get, post } from "../api.js";
import { known, language, t, word } from "../messages.js";
import { moment } from "../times.js";

const KEPT = "gridward_shift_began";
const SHIFT_MS = 8 * 3600 * 1000;
const field = $("#since-at");
const kept = Number(sessionStorage.getItem(KEPT)) || Date.now() - SHIFT_MS;

/** As the field wants it: by the clock on the wall, to the minute. */
function local(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
const since = () => new Date(field.value);

const title = (name) => (known(`handover.list_${name}`) ? t(`handover.list_${name}`) : word("queue", name));

function row(item) {
  const place = item.address || item.street || "";
  return h("tr", {},
    h("td", {}, h("a", { class: "number", href: `/console/incidents/${encodeURIComponent(item.number)}`, text: item.number })),
    h("td", {}, h("b", { text: item[`category_${language}`] || t("incident.no_category") }), h("span", { class: "block small", text: item.description || "" })),
    h("td", { text: [place, item.grid_code].filter(Boolean).join(" · ") }),
    h("td", { text: item.people.join("、") }),
    h("td", {}, item.due_at && h("span", { class: `chip ${item.lamp || ""}`, text: moment(item.due_at) })),
    h("td", { text: word("status", item.status) }));
}

function list({ name, total, items }) {
  return h("section", { class: "card", dataset: { list: name } }, h("h2", { text: `${title(name)} · ${total}` }),
    total > items.length && h("p", { class: "small muted", text: t("handover.first", { n: items.length }) }),
    items.length ? h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": title(name) }, h("table", {},
      h("thead", {}, h("tr", {}, ["number", "what", "where", "who", "due", "status"].map((head) => h("th", { scope: "col", text: t(`handover.${head}`) })))),
      h("tbody", {}, items.map(row)))) : h("p", { class: "muted", text: t("handover.nothing") }));
}

function note(each) {
  return h("li", {}, h("p", { class: "said", text: each.body }),
    h("p", { class: "small muted", text: `${each.name}（${word("role", each.role)}）· ${moment(each.written_at)}` }));
}

async function show() {
  const lists = $("#lists");
  lists.setAttribute("aria-busy", "true");
  try {
    const answer = await get("desk/handover", { since: since().toISOString() });
    const { numbers } = answer;
    $("#period").textContent = `${moment(answer.since)} – ${moment(answer.now)}`;
    const figures = [[t("handover.open"), numbers.open], [word("queue", "overdue"), numbers.overdue], [t("handover.came"), numbers.came], [t("handover.ended"), numbers.ended]];
    fill($("#figures"), figures.map(([name, n]) => h("div", {}, h("b", { text: String(n) }), h("span", { text: name }))));
    fill($("#notes"), answer.notes.length ? answer.notes.map(note) : h("li", { class: "muted", text: t("handover.no_notes") }));
    fill(lists, answer.lists.map(list));
  } catch (problem) {
    fill(lists, h("div", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: show } })));
  } finally {
    lists.removeAttribute("aria-busy");
  }
}

field.value = local(kept);
$("#since").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, String(since().getTime()));
  show();
});
$("#print").addEventListener("click", () => window.print());
$("#note").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = $("#note-body");
  try {
    await post("desk/handover/notes", { body: body.value, since: since().toISOString() });
    body.value = "";
    toast(t("handover.kept"));
    show();
  } catch (problem) {
    toast(problem.message, "red");
  }
});
show();
