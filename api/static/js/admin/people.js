// Staff and posts: who is there, who holds which post of which grid since when, the units; each changed in a dialog.
import { get } from "../api.js";
import { $, debounced, fill, h } from "../dom.js";
import { known, t, word } from "../messages.js";
import { day, failed, numberOf, open, rows, save } from "./parts.js";

const today = $("#h-from").min;
const HOLDINGS = ["officer", "cleaner", "gardener", "maintainer", "leader"];
let people = [];
let grids = [];
let units = [];
let chosen = null;

const postName = (post) => (known(`post.${post}`) ? t(`post.${post}`) : word("role", post));
const holds = (text, ...parts) => parts.join(" ").toLowerCase().includes(text);
const gone = (person) => Boolean(person.left_at) && new Date(person.left_at) <= new Date();

// Posts of the grids.

function cell(grid, post) {
  const { holder, from, planned } = grid.posts[post];
  const vacant = !holder || holder.left;
  const next = planned[0];
  const label = `${grid.code} ${postName(post)}: ${holder ? holder.name : t("people.vacant")}`;
  return h("td", {}, h("button", { class: "cell", type: "button", "aria-label": label, dataset: { grid: grid.code, post }, on: { click: () => openPost(grid, post) } },
    vacant ? h("span", { class: `chip ${post === "leader" ? "amber" : "red"}`, text: t("people.vacant") }) : h("b", { text: holder.name }),
    holder && h("span", { class: "muted small", text: holder.left ? t("people.left_name", { name: holder.name }) : t("people.since", { day: day(from) }) }),
    next && h("span", { class: "chip accent", text: t("people.planned", { name: next.holder.name, day: day(next.from) }) })));
}

function drawPosts() {
  const text = $("#post-search").value.trim().toLowerCase();
  const found = grids.filter((grid) => holds(text, grid.code, grid.name,
    ...HOLDINGS.map((post) => grid.posts[post].holder?.name || ""), ...HOLDINGS.map((post) => grid.posts[post].holder?.staff_no || "")));
  rows($("#post-rows"), found, (grid) => h("tr", {},
    h("th", { scope: "row" }, h("b", { text: grid.code }), grid.name === grid.code ? null : h("span", { class: "muted", text: ` ${grid.name}` })),
    HOLDINGS.map((post) => cell(grid, post))), HOLDINGS.length + 1, grids.length ? "people.no_grid_found" : "people.no_grids");
  const vacant = grids.reduce((sum, grid) => sum + grid.vacant.length, 0);
  $("#vacant-count").hidden = !vacant;
  $("#vacant-count").textContent = t("people.vacant_count", { n: vacant });
}

async function showPosts() {
  try {
    grids = await get("admin/posts");
    drawPosts();
  } catch (problem) {
    failed($("#post-rows"), HOLDINGS.length + 1, problem, showPosts);
  }
}

async function openPost(grid, post) {
  chosen = { code: grid.code, post };
  const form = $("#post-form");
  form.reset();
  $("#post-name").textContent = `${grid.code} ${grid.name === grid.code ? "" : grid.name} · ${postName(post)}`;
  $("#post-vacate").hidden = !grid.posts[post].holder;
  $("#post-take-back").hidden = !grid.posts[post].planned.length;
  fill($("#post-history"), h("li", {}, h("div", { class: "skeleton bone-line grow" })));
  offerPeople(post);
  open($("#post-dialog"));
  $("#h-who").focus();
  try {
    const past = await get(`admin/posts/${encodeURIComponent(grid.code)}/${post}`);
    fill($("#post-history"), past.length ? past.map((one) => h("li", {}, h("b", { text: one.name }), h("span", { class: "muted", text: one.staff_no }),
      h("span", { class: "grow" }), h("span", { text: period(one) }))) : h("li", { class: "muted", text: t("people.no_history") }));
  } catch (problem) {
    fill($("#post-history"), h("li", {}, h("p", { class: "note red", text: problem.message })));
  }
}

const period = (one) => (one.to ? t("people.from_to", { from: day(one.from), to: day(one.to) }) : t("people.since", { day: day(one.from) }));

async function hand(staff_no) {
  const form = $("#post-form");
  const { from, hand_over } = Object.fromEntries(new FormData(form));
  const path = `admin/posts/${encodeURIComponent(chosen.code)}/${chosen.post}`;
  if (await save("PUT", path, { staff_no, from, hand_over }, form)) {
    $("#post-dialog").close();
    await refresh();
  }
}

$("#post-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const who = numberOf($("#h-who").value);
  if (who) hand(who);
  else $("#h-who").focus();
});
$("#post-vacate").addEventListener("click", () => {
  if (confirm(t("people.vacate_sure", { post: postName(chosen.post), grid: chosen.code }))) hand(null);
});
$("#post-take-back").addEventListener("click", async () => {
  if (await save("DELETE", `admin/posts/${encodeURIComponent(chosen.code)}/${chosen.post}/planned`, null, $("#post-form"))) {
    $("#post-dialog").close();
    await refresh();
  }
});
$("#post-search").addEventListener("input", debounced(120, drawPosts));

// People.

/** The list that names are chosen from: those whose post it is come first. */
function offerPeople(post = null) {
  const there = people.filter((person) => !gone(person));
  const ordered = [...there.filter((one) => one.post === post), ...there.filter((one) => one.post !== post)];
  fill($("#person-list"), ordered.map((one) => h("option", { value: `${one.staff_no} ${one.name}`, text: [postName(one.post), one.unit].filter(Boolean).join(" · ") })));
}

function state(person) {
  if (!person.left_at) return h("span", { class: "chip green", text: t("people.active") });
  const key = gone(person) ? "people.left_at" : "people.leaves_at";
  return h("span", { class: `chip ${gone(person) ? "" : "amber"}`, text: t(key, { day: day(person.left_at) }) });
}

function personLine(person) {
  const posts = person.posts.map((held) => h("span", { class: "chip", text: `${held.grid} ${postName(held.post)}` }));
  if (person.segments) posts.push(h("span", { class: "chip", text: t("people.segments", { n: person.segments }) }));
  return h("tr", { class: gone(person) ? "closed" : "" },
    h("td", { class: "number", text: person.staff_no }), h("th", { scope: "row", text: person.name }),
    h("td", { text: postName(person.post) }),
    h("td", {}, person.unit || "", person.heads_unit ? h("span", { class: "chip accent", text: t("people.heads") }) : null),
    h("td", { class: "chips" }, posts), h("td", { text: person.accounts.join(", ") }), h("td", {}, state(person)),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("people.edit"), "aria-label": `${t("people.edit")} ${person.name} ${person.staff_no}`, on: { click: () => openPerson(person) } })));
}

function drawPeople() {
  const text = $("#person-search").value.trim().toLowerCase();
  const found = people.filter((one) => ($("#with-left").checked || !gone(one)) && holds(text, one.staff_no, one.name, one.unit || "",
    postName(one.post), ...one.accounts, ...one.posts.map((held) => held.grid)));
  rows($("#person-rows"), found, personLine, 8, people.length ? "people.nobody_found" : "people.nobody");
}

async function showPeople() {
  try {
    people = await get("admin/people");
    drawPeople();
    offerPeople();
  } catch (problem) {
    failed($("#person-rows"), 8, problem, showPeople);
  }
}

function openPerson(person) {
  chosen = person;
  const form = $("#person-form");
  form.reset();
  $("#end-form").reset();
  $("#person-name").textContent = person ? `${person.name} ${person.staff_no}` : t("people.new");
  for (const part of form.querySelectorAll("[data-new]")) part.hidden = Boolean(person);
  form.elements.staff_no.required = !person;
  $("#person-more").hidden = !person;
  if (person) {
    form.elements.name.value = person.name;
    form.elements.post.value = person.post;
    form.elements.unit.value = person.unit || "";
    form.elements.phone.value = person.phone || "";
    form.elements.reports_to.value = person.leader_no ? `${person.leader_no} ${person.leader}` : "";
    $("#end-form").hidden = Boolean(person.left_at);
    $("#return-line").hidden = !person.left_at;
    showHistory(person);
    if (!person.left_at) showLeaving();
  }
  offerPeople();
  open($("#person-dialog"));
  form.elements[person ? "name" : "staff_no"].focus();
}

async function showHistory(person) {
  fill($("#person-history"), h("li", {}, h("div", { class: "skeleton bone-line grow" })));
  try {
    const { history } = await get(`admin/people/${encodeURIComponent(person.staff_no)}`);
    fill($("#person-history"), history.length ? history.map((one) => h("li", {},
      h("b", { text: one.grid || t("people.segment", { id: one.segment_id }) }), h("span", { text: postName(one.post) }),
      h("span", { class: "grow" }), h("span", { class: "muted", text: period(one) }))) : h("li", { class: "muted", text: t("people.no_posts") }));
  } catch (problem) {
    fill($("#person-history"), h("li", {}, h("p", { class: "note red", text: problem.message })));
  }
}

/** What would be left without this person, before anything is ended. */
async function showLeaving() {
  const form = $("#end-form");
  const from = form.elements.from.value;
  try {
    const left = await get(`admin/people/${encodeURIComponent(chosen.staff_no)}/leaving`, { from });
    const lines = [
      left.posts.length && t("people.left_posts", { n: left.posts.length, posts: left.posts.map((one) => `${one.grid} ${postName(one.post)}`).join(", ") }),
      left.segments && t("people.left_segments", { n: left.segments }),
      left.open_work.length && t("people.left_work", { n: left.open_work.length, numbers: left.open_work.slice(0, 8).map((one) => one.number).join(", ") }),
      left.heads && t("people.left_heads", { unit: left.heads }),
      left.led && t("people.left_led", { n: left.led }),
      left.covers && t("people.left_covers", { n: left.covers }),
    ].filter(Boolean);
    fill($("#leaving"), lines.length ? h("ul", { class: "note amber stack" }, lines.map((text) => h("li", { text }))) : h("p", { class: "note green", text: t("people.left_nothing") }));
    $("#vacant-line").hidden = !left.posts.length;
    const closing = left.accounts.length > 0 && from === today;
    $("#accounts-line").hidden = !closing;
    $("span", $("#accounts-line")).textContent = t("people.close_accounts", { accounts: left.accounts.join(", ") });
  } catch (problem) {
    fill($("#leaving"), h("p", { class: "note red", text: problem.message }));
  }
}

$("#e-from").addEventListener("change", showLeaving);
$("#person-new").addEventListener("click", () => openPerson(null));
$("#person-search").addEventListener("input", debounced(120, drawPeople));
$("#with-left").addEventListener("change", drawPeople);
$("#person-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { staff_no, ...values } = Object.fromEntries(new FormData(form));
  values.reports_to = numberOf(values.reports_to) || "";
  const saved = chosen ? await save("PATCH", `admin/people/${encodeURIComponent(chosen.staff_no)}`, values, form)
    : await save("POST", "admin/people", { staff_no, ...values }, form);
  if (!saved) return;
  $("#person-dialog").close();
  await refresh();
});
$("#end-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = {
    from: form.elements.from.value, hand_to: numberOf(form.elements.hand_to.value),
    leave_vacant: form.elements.leave_vacant.checked,
    close_accounts: form.elements.close_accounts.checked && form.elements.from.value === today,
  };
  if (await save("POST", `admin/people/${encodeURIComponent(chosen.staff_no)}/end`, body, form)) {
    $("#person-dialog").close();
    await refresh();
  }
});
$("#person-return").addEventListener("click", async () => {
  if (await save("DELETE", `admin/people/${encodeURIComponent(chosen.staff_no)}/end`, null, null)) {
    $("#person-dialog").close();
    await refresh();
  }
});

// Units.

function unitLine(unit) {
  return h("tr", {}, h("th", { scope: "row", text: unit.name }), h("td", { class: "number", text: unit.code || "" }),
    h("td", { text: word("people.kind", unit.kind) }), h("td", { text: unit.parent || "" }),
    h("td", { text: unit.head ? `${unit.head} (${unit.head_no})` : "" }), h("td", { text: String(unit.people) }),
    h("td", { class: "actions" }, h("button", { class: "button", type: "button", text: t("people.edit"), "aria-label": `${t("people.edit")} ${unit.name}`, on: { click: () => openUnit(unit) } })));
}

async function showUnits() {
  try {
    units = await get("admin/units");
    rows($("#unit-rows"), units, unitLine, 7, "people.no_units");
    fill($("#unit-list"), units.map((unit) => h("option", { value: unit.name })));
  } catch (problem) {
    failed($("#unit-rows"), 7, problem, showUnits);
  }
}

function openUnit(unit) {
  chosen = unit;
  const form = $("#unit-form");
  form.reset();
  $("#unit-name").textContent = unit ? unit.name : t("people.new_unit");
  if (unit) {
    for (const name of ["name", "code", "kind", "parent"]) form.elements[name].value = unit[name] || "";
    form.elements.head.value = unit.head_no ? `${unit.head_no} ${unit.head}` : "";
  }
  offerPeople("unit_head");
  open($("#unit-dialog"));
  form.elements.name.focus();
}

$("#unit-new").addEventListener("click", () => openUnit(null));
$("#unit-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const values = Object.fromEntries(new FormData(form));
  const body = { ...values, head: numberOf(values.head) || "", code: values.code || null, parent: values.parent || null };
  if (await (chosen ? save("PUT", `admin/units/${chosen.id}`, body, form) : save("POST", "admin/units", body, form))) {
    $("#unit-dialog").close();
    await refresh();
  }
});

const refresh = () => Promise.all([showPosts(), showPeople(), showUnits()]);
refresh();
