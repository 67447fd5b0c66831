// How people are reached, and which other systems are told. A key is shown once, when it is made; addresses never whole.
import { get } from "../api.js";
import { $, $$, fill, h } from "../dom.js";
import { t, word } from "../messages.js";
import { failed, numberOf, open, rows, save } from "./parts.js";

let people = [];
let units = [];
let chosen = null;

const LANGUAGES = { zh: "中文", en: "English" };

function whom(contact) {
  if (contact.role) return t("sending.everybody", { role: word("role", contact.role) });
  if (contact.unit_id) return units.find((unit) => unit.id === contact.unit_id)?.name || String(contact.unit_id);
  const found = people.find((one) => one.id === contact.staff_id);
  return found ? `${found.name} (${found.staff_no})` : String(contact.staff_id);
}

function contactLine(contact) {
  const name = whom(contact);
  return h("tr", {}, h("th", { scope: "row", text: name }), h("td", { text: word("sending.kind", contact.kind) }),
    h("td", { class: "number", text: contact.url }), h("td", { text: LANGUAGES[contact.language] || t("sending.own_language") }),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("sending.end_contact"), "aria-label": `${t("sending.end_contact")} ${name}`, on: { click: async () => {
      if (confirm(t("sending.end_sure", { name })) && await save("DELETE", `contacts/${contact.id}`, null, null)) await showContacts();
    } } })));
}

async function showContacts() {
  try {
    rows($("#contact-rows"), await get("contacts"), contactLine, 5, "sending.no_contacts");
  } catch (problem) {
    failed($("#contact-rows"), 5, problem, showContacts);
  }
}

const eventName = (kind) => t(`sending.event.${kind.replace("incident.", "")}`);

function systemLine(system) {
  const { sent = 0, given_up = 0, waiting = 0 } = system.deliveries;
  return h("tr", {}, h("th", { scope: "row", text: system.name }), h("td", { class: "words", text: system.url }),
    h("td", { text: system.kinds.length ? system.kinds.map(eventName).join(", ") : t("sending.all_events") }),
    h("td", {}, t("sending.counts", { sent, waiting }), " ", given_up ? h("span", { class: "chip red", text: t("sending.given_up", { n: given_up }) }) : null),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("people.edit"), "aria-label": `${t("people.edit")} ${system.name}`, on: { click: () => openSystem(system) } })));
}

async function showSystems() {
  try {
    rows($("#system-rows"), await get("webhooks"), systemLine, 5, "sending.no_systems");
  } catch (problem) {
    failed($("#system-rows"), 5, problem, showSystems);
  }
}

function tell(secret) {
  fill($("#secret"), h("span", {}, `${t("sending.secret_once")} `, h("code", { class: "secret", text: secret })));
  $("#secret").hidden = false;
  $("#secret").scrollIntoView({ block: "nearest" });
}

function chooseWhom() {
  for (const part of $$("#contact-form [data-whom]")) part.hidden = part.dataset.whom !== $("#c-whom").value;
  $("#c-person").required = $("#c-whom").value === "staff_id";
}

$("#c-whom").addEventListener("change", chooseWhom);
$("#contact-new").addEventListener("click", () => {
  $("#contact-form").reset();
  chooseWhom();
  open($("#contact-dialog"));
  $("#c-whom").focus();
});
$("#contact-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const values = Object.fromEntries(new FormData(form));
  const owner = {
    staff_id: () => people.find((one) => one.staff_no === numberOf(values.staff_id))?.id ?? null,
    unit_id: () => Number(values.unit_id) || null, role: () => values.role,
  }[values.whom]();
  const body = { kind: values.kind, url: values.url, language: values.language || null, [values.whom]: owner };
  if (!await save("POST", "contacts", body, form)) return;
  $("#contact-dialog").close();
  await showContacts();
});

function openSystem(system) {
  chosen = system;
  const form = $("#system-form");
  form.reset();
  $("#system-name").textContent = system ? system.name : t("sending.new_system");
  if (system) {
    form.elements.name.value = system.name;
    form.elements.url.value = system.url;
    for (const box of form.elements.kinds) box.checked = !system.kinds.length || system.kinds.includes(box.value);
  }
  $("#system-secret").hidden = !system;
  $("#system-end").hidden = !system;
  open($("#system-dialog"));
  form.elements.name.focus();
}

$("#system-new").addEventListener("click", () => openSystem(null));
$("#system-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const boxes = [...form.elements.kinds];
  const kinds = boxes.filter((box) => box.checked).map((box) => box.value);
  if (!kinds.length) { boxes[0].focus(); return; }
  const body = { name: form.elements.name.value.trim(), url: form.elements.url.value.trim(), kinds: kinds.length === boxes.length ? [] : kinds };
  const made = await (chosen ? save("PATCH", `webhooks/${chosen.id}`, body, form) : save("POST", "webhooks", body, form));
  if (!made) return;
  $("#system-dialog").close();
  if (made.secret) tell(made.secret);
  await showSystems();
});
$("#system-secret").addEventListener("click", async () => {
  if (!confirm(t("sending.new_secret_sure"))) return;
  const made = await save("POST", `webhooks/${chosen.id}/secret`, {}, $("#system-form"));
  if (!made) return;
  $("#system-dialog").close();
  tell(made.secret);
});
$("#system-end").addEventListener("click", async () => {
  if (!confirm(t("sending.end_sure", { name: chosen.name })) || !await save("DELETE", `webhooks/${chosen.id}`, null, $("#system-form"))) return;
  $("#system-dialog").close();
  await showSystems();
});

async function start() {
  showSystems();
  try {
    [people, units] = await Promise.all([get("admin/people"), get("admin/units")]);
    fill($("#person-list"), people.filter((one) => !one.left_at).map((one) => h("option", { value: `${one.staff_no} ${one.name}` })));
    fill($("#c-unit"), units.map((unit) => h("option", { value: String(unit.id), text: unit.name })));
  } catch (problem) {
    failed($("#contact-rows"), 5, problem, start);
    return;
  }
  await showContacts();
}

start();
