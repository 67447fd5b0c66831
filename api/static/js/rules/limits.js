// Limits of the stages and rules of chasing: a table each; "edit" puts a row into the form below it.
import { get } from "../api.js";
import { $, fill, h } from "../dom.js";
import { t, word } from "../messages.js";
import { limitText, number, plannedChips, save, today } from "./saving.js";

const forWhom = (row) => [row.urgency ? word("rules.urgency", row.urgency) : t("rules.all_urgencies"),
  row.area_class ? word("rules.area", row.area_class) : ""].filter(Boolean).join(" · ");

const state = (row, text) => {
  const later = new Date(row.from) > new Date();
  const chips = plannedChips(later ? [row] : row.planned, text);
  if (row.to && !row.planned.length && !later) chips.push(h("span", { class: "chip red", text: `${t("rules.ends")} ${row.to.slice(0, 10)}` }));
  return chips.length ? chips : [h("span", { class: "chip green", text: t("rules.in_force") })];
};

const buttons = (name, edit, end) => h("td", { class: "actions" },
  h("button", { class: "button", type: "button", text: t("rules.edit"), "aria-label": `${t("rules.edit")} ${name}`, on: { click: edit } }), " ",
  h("button", { class: "button danger", type: "button", text: t("rules.end"), "aria-label": `${t("rules.end")} ${name}`, on: { click: end } }));

function putInto(form, values) {
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value ?? "";
  form.scrollIntoView({ block: "nearest" });
  form.elements.from.focus();
}

export async function showStages() {
  const rows = await get("admin/stage-limits");
  fill($("#stage-rows"), rows.map((row) => {
    const name = `${word("rules.stage", row.stage)} ${forWhom(row)}`;
    const { stage, urgency, area_class } = row;
    return h("tr", {},
      h("td", {}, h("b", { text: word("rules.stage", stage) })),
      h("td", { text: forWhom(row) }),
      h("td", { text: limitText(row.value, row.unit) }),
      h("td", {}, state(row, (each) => limitText(each.value, each.unit))),
      buttons(name, () => {
        stageForm.dataset.area = area_class || "";
        putInto(stageForm, { stage, urgency, value: row.value, unit: row.unit, from: today() });
      }, async () => {
        const from = stageForm.elements.from.value;
        if (!confirm(t("rules.end_sure", { name, from }))) return;
        if (await save("PUT", "admin/stage-limits", { stage, urgency, area_class, from })) await showStages();
      }));
  }));
}

export async function showChasing() {
  const rows = await get("admin/chase-rules");
  fill($("#chase-rows"), rows.map((row) => {
    const when = (each) => (each.after_value ? t("rules.after_limit", { span: limitText(each.after_value, each.after_unit) })
      : t("rules.at_share", { share: Math.round(each.share * 100) }));
    const name = `${row.code} ${forWhom(row)}`;
    const { code, urgency } = row;
    return h("tr", {},
      h("td", {}, h("b", { text: code })),
      h("td", { text: word("rules.clock", row.clock) }),
      h("td", { text: forWhom(row) }),
      h("td", { text: when(row) }),
      h("td", { text: word("rules.tell", row.tell) }),
      h("td", {}, state(row, (each) => `${when(each)}, ${word("rules.tell", each.tell)}`)),
      buttons(name, () => putInto(chaseForm, { code, urgency, clock: row.clock, share: Math.round(row.share * 100),
        after_value: row.after_value, after_unit: row.after_unit || "working_hours", tell: row.tell, from: today() }),
      async () => {
        const from = chaseForm.elements.from.value;
        if (!confirm(t("rules.end_sure", { name, from }))) return;
        if (await save("PUT", "admin/chase-rules", { code, urgency, from })) await showChasing();
      }));
  }));
}

const stageForm = $("#stage-form");
stageForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(new FormData(stageForm));
  const body = { ...asked, value: number(asked.value), urgency: asked.urgency || null, area_class: stageForm.dataset.area || null };
  if (await save("PUT", "admin/stage-limits", body, stageForm)) {
    stageForm.dataset.area = "";
    await showStages();
  }
});
stageForm.elements.stage.addEventListener("change", () => { stageForm.dataset.area = ""; });

const chaseForm = $("#chase-form");
chaseForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(new FormData(chaseForm));
  const after = number(asked.after_value);
  const body = { ...asked, share: Number(asked.share) / 100, urgency: asked.urgency || null,
    after_value: after, after_unit: after === null ? null : asked.after_unit };
  if (await save("PUT", "admin/chase-rules", body, chaseForm)) await showChasing();
});
