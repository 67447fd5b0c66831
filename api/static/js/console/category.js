// The category: chosen where an incident waits for nothing else, and put right with a reason where it was wrong.
import { h, icon, toast } from "../dom.js";
import { post } from "../api.js";
import { language, named, t } from "../messages.js";
import { readyReplies } from "./ready.js";
import { suggestions, told } from "./suggest.js";

/** All categories by class, the likely ones of the incident's words in front; `take` chooses the likeliest by itself. */
function choice(id, incident, categories, { take }) {
  const select = h("select", { id, required: true }, h("option", { value: "", text: t("category.choose") }));
  const others = categories.filter((entry) => entry.code !== incident.category?.code);
  const groups = new Map();
  for (const entry of others) {
    const group = entry[`class_${language}`];
    if (!groups.has(group)) groups.set(group, h("optgroup", { label: group }));
    groups.get(group).append(h("option", { value: entry.code, text: named(entry) }));
  }
  select.append(...groups.values());
  suggestions(incident.description || "").then((likely) => {
    const other = likely.filter((entry) => entry.code !== incident.category?.code);
    if (!other.length) return;
    select.children[0].after(h("optgroup", { label: "★" }, other.map((entry) => h("option", { value: entry.code, text: told(entry) }))));
    if (take && !select.value) select.value = other[0].code;
  });
  return select;
}

const waitsForIt = (incident) => !incident.category && incident.queue === "to_file" && incident.location;

export function categoryBox(incident, { categories, onDone }) {
  if (!waitsForIt(incident)) return null;
  const select = choice("panel-category", incident, categories, { take: true });
  const form = h("form", { class: "place-box", on: { submit: async (event) => {
    event.preventDefault();
    const { lon, lat } = incident.location;
    try {
      await post(`incidents/${encodeURIComponent(incident.number)}/place`, { lon, lat, datum: "wgs84", category: select.value, version: incident.version });
      document.activeElement?.blur();
      onDone(t("category.done"));
    } catch (problem) {
      toast(problem.message, "red");
    }
  } } },
    h("h2", {}, h("label", { for: "panel-category", text: t("category.needed") })), select,
    h("button", { class: "button main", type: "submit" }, icon("check"), t("category.set")));
  return form;
}

/** Another category with a reason, wherever the moves allow it: whose work it is and its limit follow. */
export function correctCategory(incident, { categories, onDone }) {
  if (!incident.moves?.includes("set_category") || waitsForIt(incident)) return null;
  const select = choice("correct-category", incident, categories, { take: false });
  const note = h("textarea", { id: "correct-reason", rows: "2", required: true });
  const button = h("button", { class: "button main", type: "submit" }, icon("check"), t("category.correct"));
  const form = h("form", { class: "stack", on: { submit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await post(`incidents/${encodeURIComponent(incident.number)}/moves`, { move: "set_category", category: select.value, note: note.value.trim(), version: incident.version });
      document.activeElement?.blur();
      onDone(t("category.corrected"));
    } catch (problem) {
      button.disabled = false;
      toast(problem.message, "red");
      if (problem.status === 409) onDone();
    }
  } } },
    h("div", {}, h("label", { for: "correct-category", text: t("category.right_one") }), select),
    h("div", {}, h("label", { for: "correct-reason", text: t("move.reason_hint") }), note),
    readyReplies("set_category", note, incident.category?.code), button);
  return h("details", { class: "card correct", dataset: { correctCategory: "" } }, h("summary", { text: t("category.correct") }), form);
}
