// An incident that waits only for its category: choose it, and it goes on to the person.
import { h, icon, toast } from "../dom.js";
import { post } from "../api.js";
import { language, named, t } from "../messages.js";
import { suggestions, told } from "./suggest.js";

export function categoryBox(incident, { categories, onDone }) {
  if (incident.category || incident.queue !== "to_file" || !incident.location) return null;
  const select = h("select", { id: "panel-category", required: true }, h("option", { value: "", text: t("move.choose_person") }));
  const add = (group, entries) => entries.length && select.append(h("optgroup", { label: group }, entries.map((entry) => h("option", { value: entry.code, text: named(entry) }))));
  const groups = Map.groupBy ? Map.groupBy(categories, (entry) => entry[`class_${language}`]) : new Map([["", categories]]);
  for (const [group, entries] of groups) add(group, entries);
  suggestions(incident.description || "").then((likely) => {
    if (!likely.length) return;
    select.children[0].after(h("optgroup", { label: "★" }, likely.map((entry) => h("option", { value: entry.code, text: told(entry) }))));
    if (!select.value) select.value = likely[0].code;
  });
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
