// Grids on the map with their people and load; changing them: chosen, previewed by the server, put in force.
import "../page.js";
import { $, $$, debounced, fill, h, icon, toast } from "../dom.js";
import { get, post } from "../api.js";
import { t, word } from "../messages.js";
import { moment } from "../times.js";
import { Ground } from "../ground.js";
import { streetTiles } from "../street_tiles.js";
import { Layers } from "./layers.js";
import { Segments } from "./segments.js";

const { map } = window.gridward;
const POSTS = ["officer", "cleaner", "gardener", "maintainer", "leader"];
const MOST_ROWS = 200;
const ground = new Ground(map, { streetTiles });
let load = new Map();
let shown = false;
let chosen_before = "";
const form = $("#change");
const segments = form && new Segments(map, () => say());

function row(grid) {
  const { open = 0, overdue = 0 } = load.get(grid.code) || {};
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = grid.colour;
  return h("li", {}, h("button", { class: "button quiet start wide grid-row", type: "button", dataset: { grid: grid.code }, "aria-pressed": String(ground.chosen === grid.code),
    on: { click: () => choose(grid.code) } }, swatch,
  h("span", { class: "grow" },
    h("span", { class: "row" }, h("b", { class: "grow cut", text: `${grid.code} ${grid.name || ""}` }),
      h("span", { class: "small", text: `${t("grids.load")} ${open}` }), overdue > 0 && h("span", { class: "chip red", text: t("grids.overdue_n", { n: overdue }) })),
    h("span", { class: "block small muted", text: t("grids.km", { km: ((grid.length_m || 0) / 1000).toFixed(1), n: grid.segments ?? "" }) }),
    h("span", { class: "block small muted", text: POSTS.map((code) => `${word("post", code)} ${grid.crew?.[code]?.name || t("grids.nobody_yet")}`).join(" · ") }))));
}

function list() {
  const words = $("#find").value.trim().toLowerCase();
  const fits = (grid) => !words || [grid.code, grid.name, ...Object.values(grid.crew || {}).map((each) => each?.name)].some((text) => text?.toLowerCase().includes(words));
  const rows = [...ground.grids.values()].filter(fits).sort((a, b) => a.code.localeCompare(b.code));
  fill($("#grid-list"), rows.length ? rows.slice(0, MOST_ROWS).map(row) : h("li", { class: "empty", text: t("grids.none") }));
}

function choose(code) {
  ground.choose(code);
  const bounds = ground.bounds(code);
  if (bounds) map.fitBounds(bounds, { padding: [40, 40], maxZoom: 17 });
  if (form) { $("#c-code").value = code; streets(); }
  for (const button of $$(".grid-row")) button.setAttribute("aria-pressed", String(button.dataset.grid === code));
}

async function renew() {
  try {
    const [numbers] = await Promise.all([get("desk/load"), ground.load({ fit: !shown && map.getSize().x > 0 })]);
    load = new Map(numbers.map((each) => [each.grid, each]));
    shown ||= map.getSize().x > 0;
    list();
    if (form) for (const select of [$("#c-code"), $("#c-to")]) {
      const kept = select.value;
      fill(select, h("option", { value: "" }), [...ground.grids.values()].sort((a, b) => a.code.localeCompare(b.code)).map((grid) => h("option", { value: grid.code, text: `${grid.code} ${grid.name || ""}` })));
      select.value = kept;
    }
  } catch (problem) {
    fill($("#grid-list"), h("li", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: renew } })));
  }
}

function say() {
  $("#chosen").textContent = t("grids.chosen", { n: segments.chosen.size, km: (segments.metres / 1000).toFixed(2) });
  $("#pick-hint").textContent = t(segments.near ? "grids.pick" : "grids.zoom_in");
  const now = [...segments.chosen.keys()].join();
  if (now !== chosen_before) fill($("#plan")); // what was previewed is no longer what is chosen
  chosen_before = now;
}

async function streets() {
  const bounds = ground.bounds($("#c-code").value);
  if (!bounds || !$("#edit").open) return;
  await segments.streets($("#streets"), $("#c-code").value, bounds).catch((problem) => toast(problem.message, "red"));
}

function asked() {
  const { action, code, to, name, name_en, from, side, hand_over, place } = form.elements;
  const body = { from: from.value ? new Date(from.value).toISOString() : null };
  if (action.value === "area") return { path: `grids/${encodeURIComponent(to.value)}/areas`, body: { ...body, place: place.value } };
  body.action = action.value;
  if (action.value === "move") Object.assign(body, { to: to.value, segment_ids: [...segments.chosen.keys()], side: side.value || null });
  if (action.value === "split") Object.assign(body, { code: code.value, name: name.value || null, segment_ids: [...segments.chosen.keys()] });
  if (action.value === "merge") Object.assign(body, { code: code.value, into: to.value });
  if (action.value === "rename") Object.assign(body, { code: code.value, name: name.value, name_en: name_en.value || null });
  if (hand_over && ["move", "split", "merge"].includes(action.value)) body.hand_over = hand_over.value;
  return { path: "grids/changes", body };
}

async function preview() {
  const { path, body } = asked();
  const box = $("#plan");
  try {
    const plan = await post(path, { ...body, dry_run: true });
    const sides = plan.moves?.length || 0;
    const codes = plan.disconnected || [];
    const allow = codes.length ? h("input", { type: "checkbox", id: "allow" }) : null;
    const apply = h("button", { class: "button main", type: "button", dataset: { apply: "" }, disabled: Boolean(allow), text: t("grids.apply"),
      on: { click: () => put(path, { ...body, ...(allow ? { allow_disconnected: allow.checked } : {}) }, apply) } });
    allow?.addEventListener("change", () => { apply.disabled = !allow.checked; });
    fill(box, h("div", { class: "card stack tight" },
      sides > 0 && h("p", { text: t("grids.moves", { n: new Set(plan.moves.map((each) => each.segment_id)).size, sides }) }),
      plan.area_m2 !== undefined && h("p", { text: t("grids.area_m2", { m2: Math.round(plan.area_m2) }) }),
      plan.made?.length > 0 && h("p", { text: t("grids.made", { codes: plan.made.map((each) => `${each.code} ${each.name || ""}`).join("、") }) }),
      plan.ended?.length > 0 && h("p", { text: t("grids.ended", { codes: plan.ended.join("、") }) }),
      plan.renamed?.length > 0 && h("p", { text: t("grids.renamed", { name: plan.renamed[0].name }) }),
      codes.length > 0 && h("p", { class: "note amber" }, icon("warning"), h("span", { text: t("grids.in_pieces", { codes: codes.join("、") }) })),
      h("p", { text: plan.incidents.length ? t("grids.incidents", { n: plan.incidents.length }) : t("grids.no_incidents") }),
      plan.incidents.length > 0 && h("ul", { class: "small" }, plan.incidents.slice(0, 20).map((each) => h("li", {},
        h("a", { class: "number", href: `/console/incidents/${encodeURIComponent(each.number)}`, text: each.number }),
        ` ${each.person_now || "–"} → ${each.person_then || "–"}`))),
      allow && h("label", { class: "row" }, allow, t("grids.allow")), apply));
    box.scrollIntoView({ block: "nearest" });
  } catch (problem) {
    fill(box, h("p", { class: "note red", role: "alert" }, icon("warning"), h("span", { text: problem.message })));
  }
}

async function put(path, body, button) {
  button.disabled = true;
  try {
    const done = await post(path, body);
    toast(body.from ? t("grids.done_from", { at: moment(done.from) }) : t("grids.done"));
    segments.clear();
    fill($("#plan"));
    await renew();
    await segments.load();
  } catch (problem) {
    button.disabled = false;
    toast(problem.message, "red");
  }
}

function fit() {
  const { action } = form.elements;
  for (const part of $$("[data-for]", form)) part.hidden = !part.dataset.for.split(" ").includes(action.value);
  fill($("#plan"));
}

if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); preview(); });
  form.addEventListener("input", (event) => { if (event.target.type !== "checkbox") fill($("#plan")); });
  form.elements.action.addEventListener("change", fit);
  $("#c-code").addEventListener("change", (event) => { if (event.target.value) choose(event.target.value); });
  $("#clear").addEventListener("click", () => { segments.clear(); streets(); });
  $("#box").addEventListener("click", (event) => {
    segments.box(!segments.boxing);
    event.currentTarget.setAttribute("aria-pressed", String(segments.boxing));
  });
  $("#edit").addEventListener("toggle", () => { segments.use($("#edit").open); streets(); });
  fit();
  say();
}
$("#find").addEventListener("input", debounced(150, list));
for (const button of $$("nav [data-view]")) {
  button.addEventListener("click", () => {
    $(".board").dataset.view = button.dataset.view;
    for (const other of $$("nav [data-view]")) other.setAttribute("aria-pressed", String(other === button));
    map.invalidateSize();
    if (!shown) shown = ground.fit();
  });
}
new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());
window.gridward.segments = segments;
new Layers($("#layers"), { map, ground, people: Boolean($("#layers").dataset.people) });
renew();
