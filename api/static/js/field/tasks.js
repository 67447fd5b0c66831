// My tasks and checks as cards, as they will stand when everything in the outbox has arrived.
import { h } from "../dom.js";
import { named, t, word } from "../messages.js";
import { mark } from "../marks.js";
import { left } from "../times.js";
import { metresApart } from "./order.js";

const STATE_AFTER = { accept_task: "accepted", arrive: "arrived", finish_task: "done", return_task: "returned", hand_over: "withdrawn" };
const CHECKED = new Set(["check_passed", "check_failed", "verify_confirmed", "verify_denied"]);
const OVER = new Set(["done", "returned", "lapsed", "withdrawn"]);

export const isOver = (task) => OVER.has(task.status);
export const isTask = (task) => task.id !== undefined;

/** The task (or check) as it will stand when the outbox is empty. */
export function withOutbox(task, items) {
  const own = items.filter((item) => item.number === task.incident.number);
  let { status } = task;
  let asked = false;
  for (const item of own) {
    if (item.kind !== "move") continue;
    if (!isTask(task) && CHECKED.has(item.move)) status = "done";
    if (isTask(task) && STATE_AFTER[item.move] && (item.values?.task ?? task.id) === task.id) status = STATE_AFTER[item.move];
    if (item.move === "ask_extension") asked = true;
  }
  const extension = asked ? { move: "ask_extension", unsent: true } : task.extension;
  return { ...task, status, extension, unsent: own.length, stuck: own.some((item) => item.state === "conflict" || item.state === "refused") };
}

export function away(task, me) {
  if (!me || !task.incident.location) return "";
  const m = metresApart(me, task.incident.location);
  return m < 1000 ? t("field.away", { m: Math.round(m / 10) * 10 }) : t("field.away_km", { km: (m / 1000).toFixed(1) });
}

/** What the task is called now: its own state, or what a collector is to do. */
export function stateWord(task) {
  if (task.taken_by) return t("field.taken_by", { name: task.taken_by });
  if (isTask(task)) return word("task_status", task.status);
  return task.status === "done" ? word("task_status", "done") : t(task.incident.status === "verifying" ? "field.to_verify" : "field.to_check");
}

export function extensionChip(task) {
  if (!task.extension || isOver(task)) return null;
  const kinds = { ask_extension: ["amber", "field.more_asked"], grant_extension: ["green", "field.more_granted"], refuse_extension: ["red", "field.more_refused"] };
  const [lamp, key] = kinds[task.extension.move];
  return h("span", { class: `chip ${lamp}`, dataset: { extension: task.extension.move }, text: t(key) });
}

export function card(task, me, onOpen) {
  const { incident } = task;
  const over = isOver(task);
  const time = over || task.status === "waiting" ? "" : left(task.due_at || incident.due_at);
  return h("button", { class: `task ${over ? "over" : ""}`, type: "button", dataset: { number: incident.number }, on: { click: () => onOpen(task) } },
    mark({ ...incident, lamp: task.lamp || incident.lamp }, 30),
    h("span", { class: "grow" },
      h("span", { class: "row" }, h("b", { class: "grow", text: named(incident.category) || t("incident.no_category") }),
        time && h("span", { class: `chip big ${task.lamp || "green"}`, text: time })),
      h("span", { class: "block two-lines", text: incident.description || incident.address || "" }),
      h("span", { class: "block muted", text: [incident.segment?.street || incident.address, away(task, me)].filter(Boolean).join(" · ") }),
      h("span", { class: "row wrap" },
        h("span", { class: `chip ${task.status === "done" ? "green" : over || task.status === "waiting" ? "" : "accent"}`, text: stateWord(task) }),
        task.of_unit && h("span", { class: "chip amber", text: t("field.of_unit") }),
        isTask(task) && !task.lead && h("span", { class: "chip", text: t("field.helper") }),
        extensionChip(task),
        task.unsent > 0 && h("span", { class: `chip ${task.stuck ? "red" : "amber"}`, text: t("field.unsent", { n: task.unsent }) }))));
}
