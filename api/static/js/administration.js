// The administrator's page: accounts, messages that could not be sent, the words residents read.
import { call, get, post } from "./api.js";
import { $, debounced, fill, h, toast } from "./dom.js";
import { known, t, word } from "./messages.js";

const roles = [...$("#a-role").options].map((option) => option.value);
let accounts = [];

function tell(username, password) {
  const box = $("#secret");
  fill(box, h("span", {}, `${t("admin.one_time", { username })} `, h("code", { class: "secret", text: password })));
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

const changed = () => document.dispatchEvent(new Event("administration-changed"));

async function change(username, values) {
  try {
    await call("PATCH", `accounts/${encodeURIComponent(username)}`, values);
    toast(t("admin.saved"));
    changed();
  } catch (problem) {
    toast(problem.message, "red");
  }
  await showAccounts();
}

async function reset(username) {
  if (!confirm(t("admin.reset_sure", { username }))) return;
  try {
    const made = await post(`accounts/${encodeURIComponent(username)}/password`, {});
    tell(made.username, made.password);
  } catch (problem) {
    toast(problem.message, "red");
  }
  await showAccounts();
}

function states(account) {
  const shown = [];
  if (account.disabled) shown.push(h("span", { class: "chip red", text: t("admin.closed") }));
  if (account.locked) shown.push(h("span", { class: "chip amber", text: t("admin.locked") }));
  if (account.must_change) shown.push(h("span", { class: "chip amber", text: t("admin.one_time_chip") }));
  if (account.elsewhere) shown.push(h("span", { class: "chip accent", text: t("admin.elsewhere") }));
  return shown.length ? shown : [h("span", { class: "chip green", text: t("admin.open") })];
}

function line(account) {
  const select = h("select", {
    "aria-label": `${t("admin.role")}: ${account.username}`,
    on: { change: (event) => change(account.username, { role: event.target.value }) },
  }, roles.map((role) => h("option", { value: role, text: word("role", role), selected: role === account.role })));
  return h("tr", { class: account.disabled ? "closed" : "" },
    h("td", {}, h("b", { text: account.username })),
    h("td", { text: account.name }),
    h("td", {}, select),
    h("td", { text: account.staff_no ? `${account.person} (${account.staff_no})` : "" }),
    h("td", {}, states(account)),
    h("td", { class: "actions" },
      h("button", { class: "button", type: "button", text: t("admin.reset"), on: { click: () => reset(account.username) } }), " ",
      h("button", { class: `button ${account.disabled ? "" : "danger"}`, type: "button",
        text: t(account.disabled ? "admin.enable" : "admin.disable"),
        on: { click: () => change(account.username, { disabled: !account.disabled }) } })));
}

function drawAccounts() {
  const words = $("#account-search").value.trim().toLowerCase();
  const shown = accounts.filter((account) =>
    [account.username, account.name, account.staff_no, word("role", account.role)].join(" ").toLowerCase().includes(words));
  fill($("#accounts"), shown.length ? shown.map(line) : h("tr", {}, h("td", { colspan: 6, class: "muted", text: t("admin.nobody") })));
}

async function showAccounts() {
  try {
    accounts = await get("accounts");
    drawAccounts();
  } catch (problem) {
    fill($("#accounts"), h("tr", {}, h("td", { colspan: 6 }, h("p", { class: "note red", text: problem.message }))));
  }
}

$("#account-search").addEventListener("input", debounced(120, drawAccounts));
$("#add-account").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    const made = await post("accounts", Object.fromEntries(new FormData(form)));
    form.reset();
    changed();
    await showAccounts();
    tell(made.username, made.password);
  } catch (problem) {
    toast(problem.message, "red");
    form.elements[problem.field || "username"]?.focus();
  }
});

async function sendAgain(id, button) {
  button.disabled = true;
  try {
    await post(`notices/${id}/send-again`, {});
    toast(t("admin.again_done"));
    await showFailed();
  } catch (problem) {
    button.disabled = false;
    toast(problem.message, "red");
  }
}

async function showFailed() {
  try {
    const { items } = await get("notices");
    fill($("#failed"), items.length ? items.map((item) => h("li", {},
      h("span", { class: "grow" },
        h("b", { class: "number", text: item.number || "" }), " ",
        h("span", { text: known(`notice.kind.${item.kind}`) ? t(`notice.kind.${item.kind}`) : item.kind || "" }), " ",
        h("span", { class: "muted", text: item.error || "" })),
      h("button", { class: "button", type: "button", text: t("admin.again"),
        on: { click: (event) => sendAgain(item.id, event.target) } })))
      : h("li", { class: "muted", text: t("admin.failed_none") }));
  } catch (problem) {
    fill($("#failed"), h("li", {}, h("p", { class: "note red", text: problem.message })));
  }
}

let chosen = null;

const preview = debounced(250, async () => {
  if (!chosen) return;
  const form = $("#template");
  try {
    const shown = await post("templates/preview", {
      language: chosen.language, title: form.elements.title.value, body: form.elements.body.value });
    fill($("#shown"), h("span", {}, h("b", { text: shown.title }), h("br"), shown.body));
  } catch (problem) {
    fill($("#shown"), h("span", { text: problem.message }));
  }
});

const nameOf = (item) => [
  known(`admin.turn.${item.kind}`) ? t(`admin.turn.${item.kind}`) : item.kind,
  item.category || "", item.language === "zh" ? "中文" : "English"].filter(Boolean).join(" · ");

function choose(item) {
  chosen = item;
  const form = $("#template");
  form.hidden = false;
  $("#template-name").textContent = nameOf(item);
  form.elements.category.value = item.category || "";
  form.elements.title.value = item.title || "";
  form.elements.body.value = item.body || "";
  // The words for all categories stay: without them residents would hear nothing.
  $("#template-drop").hidden = !item.category;
  $("#template-trouble").hidden = true;
  preview();
}

async function showTemplates() {
  try {
    const { items, places } = await get("templates");
    $("#places").textContent = t("admin.places", { places: places.map((place) => `{${place}}`).join(" ") });
    fill($("#templates"), items.map((item) => h("li", {}, h("button", {
      class: "button wide", type: "button", text: nameOf(item), on: { click: () => choose(item) } }))));
  } catch (problem) {
    fill($("#templates"), h("li", {}, h("p", { class: "note red", text: problem.message })));
  }
}

$("#template").addEventListener("input", preview);
$("#template").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { category, title, body } = Object.fromEntries(new FormData(event.target));
  const trouble = $("#template-trouble");
  trouble.hidden = true;
  try {
    await call("PUT", "templates", { kind: chosen.kind, category: category.trim() || null, language: chosen.language, title, body });
    toast(t("admin.saved"));
    changed();
    await showTemplates();
  } catch (problem) {
    trouble.textContent = problem.message;
    trouble.hidden = false;
    event.target.elements[problem.field]?.focus?.();
  }
});

$("#template-drop").addEventListener("click", async () => {
  try {
    await call("DELETE", `templates/${chosen.id}`);
    toast(t("admin.saved"));
    $("#template").hidden = true;
    await showTemplates();
  } catch (problem) {
    toast(problem.message, "red");
  }
});

showAccounts();
showFailed();
showTemplates();
