// Open incidents at the same place: shown beside one that is open, to be merged into, and while a report is taken down.
import { fill, h, icon, toast } from "../dom.js";
import { get, post } from "../api.js";
import { language, t, word } from "../messages.js";

const category = (found) => found[`category_${language}`] || t("incident.no_category");

export function nearRow(found, onOpen, extra = null) {
  return h("li", { class: "near-row" },
    h("button", { class: "button quiet start grow", type: "button", dataset: { near: found.number }, on: { click: () => onOpen(found.number) } },
      h("span", { class: "grow" },
        h("span", { class: "block" }, h("b", { text: category(found) }), " ", h("span", { class: "chip", text: word("status", found.status) })),
        h("span", { class: "block small cut", text: found.description }),
        h("span", { class: "block small muted" }, h("span", { class: "number", text: found.number }), ` · ${t("near.metres", { m: Math.round(found.distance_m) })} · ${t("near.alike", { n: Math.round(found.score * 100) })}`))),
    extra);
}

/** The section of an open incident's panel: its open neighbours, each one click from taking this one in. */
export function nearBox(incident, { onOpen, onDone }) {
  if (!incident.location || ["closed", "merged", "voided", "refused", "declined"].includes(incident.status)) return null;
  const box = h("details", { class: "card correct" });
  const list = h("ul", {});
  get("desk/neighbours", { lon: incident.location.lon, lat: incident.location.lat, category: incident.category?.code, q: (incident.description || "").slice(0, 500) })
    .then((found) => {
      const others = found.filter((each) => each.number !== incident.number);
      box.hidden = !others.length;
      const mayMerge = incident.moves?.includes("merge");
      fill(box, h("summary", { text: t("near.title", { n: others.length }) }), list);
      fill(list, others.slice(0, 6).map((each) => nearRow(each, onOpen, mayMerge && h("button", {
        class: "button", type: "button", dataset: { mergeInto: each.number }, text: t("near.merge"), title: t("near.merge_hint", { number: each.number }),
        on: { click: (event) => merge(event.currentTarget, each.number) } }))));
      if (others[0]?.score >= 0.5) box.open = true;
    }, () => { box.hidden = true; });

  async function merge(button, into) {
    if (!button.dataset.sure) { button.dataset.sure = "1"; button.classList.add("danger"); button.textContent = t("near.sure"); return; }
    button.disabled = true;
    try {
      await post(`incidents/${encodeURIComponent(incident.number)}/moves`, { move: "merge", to: into, version: incident.version });
      onDone(t("near.merged", { number: into }));
    } catch (problem) {
      button.disabled = false;
      toast(problem.message, "red");
    }
  }
  box.hidden = true;
  return box;
}

/** Name and number of those who reported it: asked for on purpose, and every look is kept. */
export function reporterBox(incident) {
  const box = h("div", {});
  fill(box, h("button", { class: "button", type: "button", dataset: { reporters: "" }, on: { click: async () => {
    try {
      const people = await get(`incidents/${encodeURIComponent(incident.number)}/reporters`);
      fill(box, people.length ? h("ul", {}, people.map((each) => h("li", { class: "row" }, icon("person"), h("b", { text: each.name || t("reporter.unnamed") }),
        each.phone && h("a", { href: `tel:${each.phone}`, text: each.phone }),
        each.anonymised_at && h("span", { class: "muted small", text: t("reporter.gone") })))) : h("p", { class: "muted small", text: t("reporter.none") }));
    } catch (problem) {
      toast(problem.message, "red");
    }
  } } }, icon("phone"), t("reporter.show")), h("p", { class: "small muted", text: t("reporter.kept") }));
  return h("section", { "aria-label": t("reporter.title") }, h("h2", { text: t("reporter.title") }), box);
}
