// One way to save: tell that it is saved, or show the server's sentence beside the field at fault.
import { call } from "../api.js";
import { h, toast } from "../dom.js";
import { t, word } from "../messages.js";
import { moment } from "../times.js";

/** Makes the call; true when it was taken. `form` gets the focus on the field that was refused. */
export async function save(method, path, body, form = null, trouble = null) {
  if (trouble) trouble.hidden = true;
  try {
    await call(method, path, body);
    toast(t("admin.saved"));
    document.dispatchEvent(new Event("rules-changed"));
    return true;
  } catch (problem) {
    if (trouble) {
      trouble.textContent = problem.message;
      trouble.hidden = false;
    } else toast(problem.message, "red");
    form?.elements[problem.field]?.focus?.();
    return false;
  }
}

export const number = (text) => (text === "" || text === null || text === undefined ? null : Number(text));

export const limitText = (value, unit) => `${value} ${word("unit", unit)}`;

export const today = () => document.querySelector('input[name="from"]').min;

/** "from 1 Jan: 2 hours" for each change that is planned. */
export const plannedChips = (planned, text) => planned.map((row) =>
  h("span", { class: "chip amber", text: `${t("rules.from")} ${moment(row.from)}: ${text(row)}` }));
