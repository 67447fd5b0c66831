// What the administrator's pages share: dialogs, one way to save, days, and rows that say that there are none.
import { call } from "../api.js";
import { $, $$, fill, h, toast } from "../dom.js";
import { language, t } from "../messages.js";

const locale = language === "zh" ? "zh-CN" : "en-GB";
const dayOf = new Intl.DateTimeFormat(locale, { year: "numeric", month: "short", day: "numeric" });
// A list longer than this is narrowed by its search.
export const MOST_ROWS = 100;

export const day = (text) => (text ? dayOf.format(new Date(text)) : "");

/** Makes a call; true when it was taken, else the server's sentence stands in the form, at the field at fault. */
export async function save(method, path, body, form, said = "admin.saved") {
  const trouble = form ? $("[data-trouble]", form) : null;
  const buttons = form ? $$("button", form) : [];
  if (trouble) trouble.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    const answer = await call(method, path, body);
    toast(t(said));
    return answer ?? true;
  } catch (problem) {
    if (trouble) {
      trouble.textContent = problem.message;
      trouble.hidden = false;
    } else toast(problem.message, "red");
    form?.elements[problem.field]?.focus?.();
    return false;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Opens a dialog; its own buttons close it, and the focus goes back to what opened it. */
export function open(dialog) {
  for (const trouble of $$("[data-trouble]", dialog)) trouble.hidden = true;
  dialog.showModal();
}

for (const dialog of $$("dialog")) {
  for (const button of $$("[data-close]", dialog)) button.addEventListener("click", () => dialog.close());
}

/** Rows of a table, at most MOST_ROWS, then how many more; a line of its own when there are none. */
export function rows(body, found, line, columns, none) {
  const shown = found.slice(0, MOST_ROWS).map(line);
  if (found.length > MOST_ROWS) {
    shown.push(h("tr", {}, h("td", { colspan: columns, class: "muted", text: t("people.more", { n: found.length - MOST_ROWS }) })));
  }
  fill(body, shown.length ? shown : h("tr", {}, h("td", { colspan: columns, class: "muted", text: t(none) })));
}

export function failed(body, columns, problem, again) {
  fill(body, h("tr", {}, h("td", { colspan: columns }, h("p", { class: "note red" }, h("span", { class: "grow", text: problem.message }),
    h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: again } })))));
}

/** What was typed into a field with a list of people: "S001 王" or "S001". */
export const numberOf = (text) => text.trim().split(/\s+/)[0] || null;
