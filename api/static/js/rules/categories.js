// Categories with their conditions: a table, and one dialog to change, add and end.
import { call, get } from "../api.js";
import { $, $$, debounced, fill, h, toast } from "../dom.js";
import { named, t, word } from "../messages.js";
import { moment } from "../times.js";
import { limitText, number, save, today } from "./saving.js";

const dialog = $("#category-dialog");
const form = $("#category-form");
const trouble = $("#category-trouble");
const FIELDS = ["name_zh", "name_en", "class_zh", "class_en", "kind", "urgency", "post"];
const SHOWN_AT_MOST = 200;
let rows = [];
let chosen = null;

const isEnded = (row) => row.ended_at && new Date(row.ended_at) <= new Date();

function states(row) {
  const found = [];
  if (row.ended_at) {
    const text = isEnded(row) ? t("rules.ended") : `${t("rules.ends")} ${moment(row.ended_at)}`;
    found.push(h("span", { class: `chip ${isEnded(row) ? "red" : "amber"}`, text: row.replaced_by ? `${text} → ${row.replaced_by}` : text }));
  }
  const plans = row.planned.length + row.conditions.filter((condition) => condition.planned.length).length;
  if (plans) found.push(h("span", { class: "chip amber", text: t("rules.planned") }));
  return found.length ? found : [h("span", { class: "chip green", text: t("rules.in_force") })];
}

function line(row) {
  const lead = row.conditions[0];
  const posts = [row.post, ...row.support_posts].map((post) => word("post", post)).join(" + ");
  return h("tr", { class: isEnded(row) ? "closed" : "" },
    h("td", {}, h("b", { text: row.code })),
    h("td", { text: named(row) }),
    h("td", { text: posts }),
    h("td", { text: word("rules.urgency", row.urgency) }),
    h("td", { text: lead ? limitText(lead.limit_value, lead.limit_unit) : "–" }),
    h("td", {}, states(row)),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("rules.edit"),
      "aria-label": `${t("rules.edit")} ${row.code} ${named(row)}`, on: { click: () => open(row) } })));
}

function draw() {
  const words = $("#category-search").value.trim().toLowerCase();
  const found = rows.filter((row) => [row.code, row.name_zh, row.name_en, row.class_zh, row.class_en, word("post", row.post)]
    .join(" ").toLowerCase().includes(words));
  const more = found.length > SHOWN_AT_MOST
    ? [h("tr", {}, h("td", { colspan: 7, class: "muted", text: t("rules.more", { n: found.length - SHOWN_AT_MOST }) }))] : [];
  fill($("#category-rows"), found.length ? [...found.slice(0, SHOWN_AT_MOST).map(line), ...more]
    : h("tr", {}, h("td", { colspan: 7, class: "muted", text: t("rules.none") })));
}

export async function showCategories() {
  try {
    rows = await get("admin/categories");
    fill($("#category-codes"), rows.filter((row) => !row.ended_at).map((row) => h("option", { value: row.code, text: named(row) })));
    draw();
  } catch (problem) {
    fill($("#category-rows"), h("tr", {}, h("td", { colspan: 7 }, h("p", { class: "note red", text: problem.message }))));
  }
}

async function again() {
  await showCategories();
  if (chosen && dialog.open) {
    const found = rows.find((row) => row.code === chosen.code);
    if (found) drawMore(found);
  }
}

function open(row) {
  chosen = row;
  trouble.hidden = true;
  $("#category-name").textContent = row ? `${row.code} ${named(row)}` : t("rules.new_category");
  form.reset();
  for (const each of $$("[data-new]", form)) each.hidden = Boolean(row);
  for (const each of $$("[data-old]", form)) each.hidden = !row;
  form.elements.code.required = form.elements.limit_value.required = !row;
  $("#category-more").hidden = !row;
  if (row) {
    for (const name of FIELDS) form.elements[name].value = row[name] ?? "";
    for (const box of $$('[type="checkbox"]', form)) box.checked = row[box.name].includes(box.value);
    drawMore(row);
  }
  if (!dialog.open) dialog.showModal();
  form.elements[row ? "name_zh" : "code"].focus();
}

function condition(row) {
  const fields = h("form", { class: "fields", autocomplete: "off", on: { submit: async (event) => {
    event.preventDefault();
    const asked = Object.fromEntries(new FormData(event.target));
    asked.limit_value = number(asked.limit_value);
    if (await save("PATCH", `admin/conditions/${encodeURIComponent(row.code)}`, asked, event.target)) await again();
  } } },
    labelled("name_zh", row.name_zh, row), labelled("name_en", row.name_en, row),
    labelled("closing_zh", row.closing_zh, row), labelled("closing_en", row.closing_en, row),
    labelled("limit_value", row.limit_value, row, { type: "number", min: "0.1", step: "any" }),
    h("div", {}, h("label", { for: `u-${row.code}`, text: t("rules.unit") }), unitSelect(row)),
    labelled("from", today(), row, { type: "date", min: today() }),
    h("button", { class: "button", text: t("common.save") }),
    h("button", { class: "button danger", type: "button", text: t("rules.end_condition"), on: { click: async (event) => {
      const from = event.target.form.elements.from.value;
      if (await save("POST", `admin/conditions/${encodeURIComponent(row.code)}/end`, { from })) await again();
    } } }));
  const plans = row.planned.map((each) => h("span", { class: "chip amber", text: `${t("rules.from")} ${moment(each.from)}: ${limitText(each.limit_value, each.limit_unit)}` }));
  return h("li", {}, h("details", { class: "grow" },
    h("summary", {}, `${row.code} ${named(row)} · ${limitText(row.limit_value, row.limit_unit)} `, ...plans), fields));
}

function unitSelect(row) {
  const select = $("#f-unit").cloneNode(true);
  select.id = `u-${row.code}`;
  select.value = row.limit_unit;
  return select;
}

const labelled = (name, value, row, props = {}) => h("div", {},
  h("label", { for: `${name}-${row.code}`, text: t(name === "from" ? "rules.from" : name === "limit_value" ? "rules.value" : `rules.${name}`) }),
  h("input", { id: `${name}-${row.code}`, name, value: value ?? "", required: true, ...props }));

function drawMore(row) {
  chosen = row;
  const plans = row.planned.map((plan) => h("li", {},
    h("span", { class: "grow" }, h("span", { class: "chip amber", text: `${t("rules.from")} ${moment(plan.from)}` }), " ",
      Object.entries(plan.change).map(([name, value]) => `${t(`rules.${name}`)}: ${value}`).join(", ")),
    h("button", { class: "button", type: "button", text: t("rules.take_back"), on: { click: () => takeBack(row, plan.from) } })));
  fill($("#condition-rows"), [...plans, ...row.conditions.map(condition)]);
  $("#reopen").hidden = !row.ended_at;
}

async function takeBack(row, from) {
  try {
    await call("DELETE", `admin/categories/${encodeURIComponent(row.code)}/planned?${new URLSearchParams({ from })}`);
    toast(t("admin.saved"));
    document.dispatchEvent(new Event("rules-changed"));
  } catch (problem) {
    toast(problem.message, "red");
  }
  await again();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const asked = Object.fromEntries(FIELDS.map((name) => [name, data.get(name)]));
  asked.support_posts = data.getAll("support_posts");
  asked.support_after = data.getAll("support_after").filter((post) => asked.support_posts.includes(post));
  if (chosen) {
    if (await save("PATCH", `admin/categories/${encodeURIComponent(chosen.code)}`, { ...asked, from: data.get("from") }, form, trouble)) {
      dialog.close();
      await showCategories();
    }
    return;
  }
  const made = { ...asked, code: data.get("code"), limit_value: number(data.get("limit_value")), limit_unit: data.get("limit_unit") };
  if (await save("POST", "admin/categories", made, form, trouble)) {
    dialog.close();
    await showCategories();
  }
});

$("#condition-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(new FormData(event.target));
  asked.limit_value = number(asked.limit_value);
  if (await save("POST", `admin/categories/${encodeURIComponent(chosen.code)}/conditions`, asked, event.target)) {
    event.target.reset();
    await again();
  }
});

$("#end-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(new FormData(event.target));
  if (await save("POST", `admin/categories/${encodeURIComponent(chosen.code)}/end`, asked, event.target)) await again();
});

$("#reopen").addEventListener("click", async () => {
  if (await save("DELETE", `admin/categories/${encodeURIComponent(chosen.code)}/end`, null)) await again();
});
$("#category-close").addEventListener("click", () => dialog.close());
$("#category-new").addEventListener("click", () => open(null));
$("#category-search").addEventListener("input", debounced(120, draw));
