// Leave and shifts: who is away and who stands in; who works which hours. Names are chosen from the list of people.
import { get } from "../api.js";
import { $, h } from "../dom.js";
import { language, t } from "../messages.js";
import { day, failed, numberOf, open, rows, save } from "./parts.js";

const MONDAY = new Date(2024, 0, 1);
const weekday = new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { weekday: "short" });
const nameOf = (n) => weekday.format(new Date(MONDAY.getFullYear(), 0, n));

const person = (row) => h("th", { scope: "row" }, row.name, h("span", { class: "muted", text: ` ${row.staff_no}` }));
const standIn = (row) => h("td", { text: row.substitute ? `${row.substitute} (${row.substitute_no})` : "–" });
/** The last day of something whose end is the first moment after it. */
const lastDay = (text) => day(new Date(new Date(text).getTime() - 1));
const days = (from, to) => (day(from) === lastDay(to) ? day(from) : t("people.from_to", { from: day(from), to: lastDay(to) }));

function leaveLine(row) {
  const goesOn = new Date(row.from) <= new Date();
  return h("tr", {}, person(row),
    h("td", {}, days(row.from, row.to), " ", goesOn ? h("span", { class: "chip amber", text: t("leave.now") }) : null),
    standIn(row), h("td", { class: "words", text: row.reason || "" }),
    h("td", { class: "actions" }, h("button", {
      class: "button", type: "button", text: t(goesOn ? "leave.end" : "leave.take_back"),
      "aria-label": `${t(goesOn ? "leave.end" : "leave.take_back")} ${row.name}`,
      on: { click: async () => {
        if (confirm(t("leave.sure", { name: row.name })) && await save("DELETE", `admin/leave/${row.id}`, null, null)) await show();
      } } })));
}

function weekdays(list) {
  if (list.length === 7) return t("shifts.every_day");
  const whole = list.length > 2 && list.every((n, index) => n === list[0] + index);
  return whole ? `${nameOf(list[0])}–${nameOf(list.at(-1))}` : list.map(nameOf).join(language === "zh" ? "、" : ", ");
}

function shiftLine(row) {
  return h("tr", {}, person(row),
    h("td", {}, h("b", { text: row.shift }), ` ${weekdays(row.weekdays)} ${row.begins}–${row.ends}`), standIn(row),
    h("td", { text: row.to ? days(row.from, row.to) : t("people.since", { day: day(row.from) }) }),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("people.edit"), "aria-label": `${t("people.edit")} ${row.name} ${row.shift}`, on: { click: () => openShift(row) } })));
}

async function showLeave() {
  try {
    rows($("#leave-rows"), await get("admin/leave"), leaveLine, 5, "leave.none");
  } catch (problem) {
    failed($("#leave-rows"), 5, problem, showLeave);
  }
}

async function showShifts() {
  try {
    rows($("#shift-rows"), await get("admin/shifts"), shiftLine, 5, "shifts.none");
  } catch (problem) {
    failed($("#shift-rows"), 5, problem, showShifts);
  }
}

const show = () => Promise.all([showLeave(), showShifts()]);

function openShift(row) {
  const form = $("#shift-form");
  form.reset();
  if (row) {
    form.elements.staff_no.value = `${row.staff_no} ${row.name}`;
    form.elements.shift.value = row.shift;
    form.elements.weekdays.value = row.weekdays.join(",");
    form.elements.begins.value = row.begins;
    form.elements.ends.value = row.ends;
    form.elements.substitute.value = row.substitute_no ? `${row.substitute_no} ${row.substitute}` : "";
  }
  open($("#shift-dialog"));
  form.elements[row ? "begins" : "staff_no"].focus();
}

const valuesOf = (form) => {
  const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim() || null]));
  return { ...values, staff_no: numberOf(values.staff_no || ""), substitute: numberOf(values.substitute || "") };
};

$("#leave-new").addEventListener("click", () => {
  $("#leave-form").reset();
  open($("#leave-dialog"));
  $("#l-who").focus();
});
$("#leave-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!await save("POST", "admin/leave", valuesOf(event.target), event.target)) return;
  $("#leave-dialog").close();
  await show();
});
$("#shift-new").addEventListener("click", () => openShift(null));
$("#shift-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { staff_no, ...values } = valuesOf(event.target);
  const body = { ...values, weekdays: values.weekdays || "" };
  if (!await save("PUT", `admin/people/${encodeURIComponent(staff_no || "-")}/shift`, body, event.target)) return;
  $("#shift-dialog").close();
  await show();
});

show();
