// Ready-made replies as the bureau keeps them: by move, to add, to change, to take away.
import "../page.js";
import { $, fill, h, icon, toast } from "../dom.js";
import { call, get, post } from "../api.js";
import { t, word } from "../messages.js";

const form = $("#reply");
let changing = null;

function begin(reply = null) {
  changing = reply;
  for (const name of ["move", "unit_id", "category", "language", "words"]) {
    if (reply) form.elements[name].value = reply[name] ?? "";
  }
  if (!reply) form.elements.words.value = "";
  $("#reply-title").textContent = t(reply ? "replies.change" : "replies.add");
  $("#p-cancel").hidden = !reply;
  if (reply) form.elements.words.focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { move, unit_id, category, language, words } = form.elements;
  const body = { move: move.value, unit_id: unit_id.value ? Number(unit_id.value) : null, category: category.value || null, language: language.value, words: words.value };
  try {
    await (changing ? call("PUT", `ready-replies/${changing.id}`, body) : post("ready-replies", body));
    toast(t("replies.saved"));
    begin();
    await show();
  } catch (problem) {
    toast(problem.message, "red");
  }
});
$("#p-cancel").addEventListener("click", () => begin());

async function forget(button, reply) {
  if (!button.dataset.sure) { button.dataset.sure = "1"; button.classList.add("danger"); button.textContent = t("replies.sure"); return; }
  try {
    await call("DELETE", `ready-replies/${reply.id}`);
    if (changing?.id === reply.id) begin();
    await show();
  } catch (problem) {
    toast(problem.message, "red");
  }
}

function row(reply) {
  const of = [reply.unit, reply.category && form.querySelector(`#p-category option[value="${CSS.escape(reply.category)}"]`)?.textContent, reply.language === "zh" ? "中文" : "English"];
  return h("li", { class: "reply-row", dataset: { reply: reply.id } }, h("span", { class: "grow" }, h("span", { class: "block", text: reply.words }),
    h("span", { class: "small muted", text: of.filter(Boolean).join(" · ") })),
  h("button", { class: "button small-button", type: "button", text: t("replies.change"), on: { click: () => begin(reply) } }),
  h("button", { class: "button small-button", type: "button", text: t("replies.forget"), on: { click: (event) => forget(event.currentTarget, reply) } }));
}

async function show() {
  const box = $("#replies");
  try {
    const all = await get("ready-replies/all");
    const byMove = new Map();
    for (const reply of all) byMove.set(reply.move, [...(byMove.get(reply.move) || []), reply]);
    fill(box, all.length ? [...byMove].map(([move, replies]) => h("section", { class: "card" }, h("h2", { text: word("move", move) }), h("ul", {}, replies.map(row))))
      : h("p", { class: "empty", text: t("replies.none") }));
  } catch (problem) {
    fill(box, h("div", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: show } })));
  }
}

show();
