// Imports: a file is brought, looked over without keeping anything, and then taken in; what was imported before.
import { get, post, Problem, query } from "../api.js";
import { $, $$, fill, h, toast } from "../dom.js";
import { known, t } from "../messages.js";
import { moment } from "../times.js";
import { failed, rows } from "./parts.js";

const ASK_EVERY_MS = 600;
const SHOWN = 200;
let kinds = {};
let brought = null;
let run = null;
let asking = 0;

const said = (family, name) => (known(`${family}.${name}`) ? t(`${family}.${name}`) : name);
const kind = () => kinds[$("#i-kind").value];

// 1: the file.

function showKind() {
  const one = kind();
  if (!one) return;
  $("#endings").textContent = one.endings.join(" ");
  $("#i-file").accept = one.endings.map((ending) => `.${ending.split(".").pop()}`).join(",");
  const fields = [...one.needed.map((name) => `${said("imports.field", name)}*`), ...one.known.map((name) => said("imports.field", name))];
  $("#kind-hint").textContent = fields.length ? t("imports.fields", { fields: fields.join(", ") }) : "";
  forget();
}

/** What was looked over belongs to a file and its options: another choice begins anew. */
function forget() {
  brought = null;
  run = null;
  clearTimeout(asking);
  $("#options").hidden = true;
  $("#found").hidden = true;
  $("#file-trouble").hidden = true;
}

function refuse(text) {
  const trouble = $("#file-trouble");
  trouble.textContent = text;
  trouble.hidden = false;
  $("#sending").hidden = true;
}

/** Sends the file as it is, with its progress (fetch tells none). */
const bring = (file) => new Promise((done, refused) => {
  const request = new XMLHttpRequest();
  request.open("PUT", query("admin/imports/files", { name: file.name }));
  request.setRequestHeader("X-CSRF-Token", $('meta[name="csrf-token"]').content);
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Accept-Language", document.documentElement.lang);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) $("#sent").value = event.loaded / event.total; });
  request.addEventListener("load", () => (request.status < 300 ? done(request.response) : refused(new Problem(request.status, request.response))));
  request.addEventListener("error", () => refused(new Problem(0, null)));
  request.send(file);
});

async function take() {
  forget();
  const file = $("#i-file").files[0];
  if (!file || !kind()) return; // `start` takes what was chosen before the kinds had come
  const most_mb = Number($("#i-file").dataset.mostMb);
  if (file.size > most_mb * 1e6) { refuse(t("imports.too_large", { most_mb })); return; }
  $("#sent").value = 0;
  $("#sending").hidden = false;
  try {
    brought = await bring(file);
    $("#sending").hidden = true;
    showOptions();
  } catch (problem) {
    refuse(problem.message);
  }
}

$("#i-kind").addEventListener("change", () => {
  showKind();
  if ($("#i-file").files.length) take();
});
$("#i-file").addEventListener("change", take);
$("#file-form").addEventListener("submit", (event) => event.preventDefault());

// 2: how it is read.

/** A field of ours with the columns of the file to choose from; the one of the same name is chosen already. */
function column(name, needed) {
  const id = `m-${name}`;
  const same = brought.columns.find((theirs) => theirs.trim().toLowerCase() === name);
  const select = h("select", { id, dataset: { field: name }, required: needed && !same },
    h("option", { value: "", text: same ? same : t("imports.no_column") }),
    brought.columns.filter((theirs) => theirs !== same).map((theirs) => h("option", { value: theirs, text: theirs })));
  return h("div", {}, h("label", { for: id }, said("imports.field", name), " ", h("span", { class: "muted", text: needed ? `${name} *` : name })), select);
}

function showOptions() {
  const one = kind();
  const words = brought.columns.length ? [...one.needed.map((name) => column(name, true)), ...one.known.map((name) => column(name, false))] : [];
  fill($("#columns"), words);
  for (const part of $$("[data-option]")) part.hidden = !one.options.includes(part.dataset.option);
  const layers = $('[data-option="layer"]');
  layers.hidden = !one.options.includes("layer") || brought.layers.length < 2;
  fill($("#o-layer"), h("option", { value: "", text: t("imports.first_layer") }), brought.layers.map((name) => h("option", { value: name, text: name })));
  $("#options").hidden = false;
  $("#found").hidden = true;
}

$("#options-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const trouble = $("[data-trouble]", form);
  trouble.hidden = true;
  const body = { file: brought.file, kind: $("#i-kind").value, mapping: {} };
  for (const select of $$("select[data-field]", form)) if (select.value) body.mapping[select.dataset.field] = select.value;
  for (const part of $$("[data-option]", form)) {
    if (part.hidden) continue;
    const field = $("input, select", part);
    if (field.type === "checkbox") body[field.name] = field.checked;
    else if (field.value) body[field.name] = field.value;
  }
  $("#check").disabled = true;
  try {
    begin((await post("admin/imports", body)).id);
  } catch (problem) {
    trouble.textContent = problem.message;
    trouble.hidden = false;
  } finally {
    $("#check").disabled = false;
  }
});
$("#options-form").addEventListener("input", () => { if (run && run.status === "checked") { $("#found").hidden = true; run = null; } });

// 3: what was found, and taking it in.

function begin(id) {
  run = { id, status: "checking" };
  $("#found").hidden = false;
  fill($("#results"));
  $("#verdict").hidden = true;
  $("#publish-line").hidden = true;
  follow(id);
  $("#found").scrollIntoView({ block: "start" });
}

async function follow(id) {
  clearTimeout(asking);
  try {
    const found = await get(`admin/imports/${id}`);
    if (run?.id !== id) return;
    run = found;
    draw();
  } catch (problem) {
    if (!problem.isLine) { verdict("red", problem.message); return; }
  }
  if (["checking", "importing"].includes(run.status)) asking = setTimeout(() => follow(id), ASK_EVERY_MS);
}

const COLOURS = { checking: "", importing: "accent", checked: "amber", done: "green", failed: "red" };

function verdict(colour, text) {
  const note = $("#verdict");
  note.className = `note ${colour}`;
  note.textContent = text;
  note.hidden = false;
  $("#working").hidden = true;
}

function draw() {
  $("#state").textContent = t(`imports.status.${run.status}`);
  $("#state").className = `chip ${COLOURS[run.status]}`;
  const working = ["checking", "importing"].includes(run.status);
  $("#working").hidden = !working;
  $("#step").textContent = run.step ? said("imports.step", run.step.split(" ")[0]) + run.step.slice(run.step.split(" ")[0].length) : t("imports.working");
  $("#publish-line").hidden = run.status !== "checked";
  if (working) return;
  if (run.status === "failed") verdict("red", run.detail);
  else if (run.status === "done") {
    verdict("green", t("imports.done", { refused: run.counts.refused }));
    showBefore();
  } else {
    verdict(run.counts.refused || run.faults_total ? "amber" : "green", t(run.counts.refused ? "imports.checked_refused" : "imports.checked", { refused: run.counts.refused }));
    $("#until").textContent = t("imports.until", { at: moment(run.expires_at) });
  }
  if (run.rows) fill($("#results"), tables());
}

const head = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col", text: t(name) }))));
const box = (title, ...parts) => h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": title }, h("table", {}, ...parts));
const cells = (...values) => h("tr", {}, values.map((value) => h("td", { text: value === null || value === undefined ? "" : String(value) })));
const more = (total, shown) => (total > shown ? h("p", { class: "muted small", text: t("imports.more", { n: total - shown }) }) : null);
const countName = (name) => (name.startsWith("faults_") ? said("imports.fault", name.slice(7)) : said("imports.count", name));

/** Counts for people: a moment as one, and nothing about incidents where none is concerned. */
const counted = (counts) => Object.entries(counts).filter(([name, value]) => value !== 0 || !name.startsWith("incidents_"))
  .map(([name, value]) => [countName(name), name === "from" ? moment(value) : String(value)]);

function tables() {
  const parts = [];
  if (run.rows.length) {
    parts.push(box(t("imports.rows"), head("imports.table", "imports.new", "imports.changed", "imports.ended"),
      h("tbody", { id: "difference" }, run.rows.map((row) => cells(said("imports.table", row.table), row.new, row.changed, row.ended)))));
  }
  parts.push(h("dl", { class: "facts", id: "counts" }, counted(run.counts).flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })])));
  if (run.refused.length) {
    parts.push(h("div", { class: "row wrap" }, h("h3", { class: "grow", text: t("imports.refused", { n: run.counts.refused }) }),
      h("a", { class: "button", href: `/api/v1/admin/imports/${run.id}/refused.csv`, download: true, text: t("imports.as_csv") })),
    box(t("imports.refused", { n: run.counts.refused }), head("imports.row", "imports.why"),
      h("tbody", { id: "refused" }, run.refused.map((row) => h("tr", {}, h("td", { class: "number", text: String(row.row) }),
        h("td", { class: "words" }, row.reason, row.kept ? h("span", { class: "chip amber", text: t("imports.kept") }) : null))))));
    parts.push(more(run.counts.refused, Math.min(run.refused.length, SHOWN)));
  }
  if (run.faults.length) {
    parts.push(h("div", { class: "row wrap" }, h("h3", { class: "grow", text: t("imports.faults", { n: run.faults_total }) }),
      h("a", { class: "button", href: `/api/v1/admin/imports/${run.id}/faults.geojson`, download: true, text: t("imports.as_layer") })),
    box(t("imports.faults", { n: run.faults_total }), head("imports.fault", "imports.area", "imports.other", "imports.area_m2", "imports.width_m"),
      h("tbody", { id: "faults" }, run.faults.slice(0, SHOWN).map((row) => cells(said("imports.fault", row.kind), row.name, row.other, Math.round(row.area_m2), row.width_m?.toFixed(1))))));
    parts.push(more(run.faults_total, Math.min(run.faults.length, SHOWN)));
  }
  if (run.incidents.length) {
    parts.push(h("h3", { text: t("imports.incidents", { n: run.incidents_total }) }),
      box(t("imports.incidents", { n: run.incidents_total }), head("imports.number", "imports.from_grid", "imports.to_grid", "imports.person_now", "imports.person_then"),
        h("tbody", { id: "owners" }, run.incidents.slice(0, SHOWN).map((row) => h("tr", {},
          h("td", {}, h("a", { href: `/console/incidents/${row.number}`, text: row.number })),
          [row.from_grid, row.to_grid, row.person_now, row.person_then].map((value) => h("td", { text: value || "" })))))));
    parts.push(more(run.incidents_total, Math.min(run.incidents.length, SHOWN)));
  }
  if (run.placed.length) {
    parts.push(h("h3", { text: t("imports.placed", { n: run.placed_total }) }),
      box(t("imports.placed", { n: run.placed_total }), head("imports.number", "imports.why", "imports.from_grid", "imports.to_grid"),
        h("tbody", { id: "placed" }, run.placed.slice(0, SHOWN).map((row) => h("tr", {},
          h("td", {}, h("a", { href: `/console/incidents/${row.number}`, text: row.number })), h("td", { text: said("imports.placed", row.why) }),
          [row.from_grid, row.to_grid].map((value) => h("td", { text: value || "" })))))));
    parts.push(more(run.placed_total, Math.min(run.placed.length, SHOWN)));
  }
  return parts;
}

$("#publish").addEventListener("click", async () => {
  $("#publish-line").hidden = true;
  try {
    await post(`admin/imports/${run.id}/publish`, {});
    follow(run.id);
  } catch (problem) {
    verdict("red", problem.message);
  }
});
$("#give-up").addEventListener("click", () => {
  $("#file-form").reset();
  showKind();
  toast(t("imports.nothing_kept"));
});

// What was imported before.

async function showBefore() {
  try {
    const found = await get("admin/imports");
    rows($("#before-rows"), found, ({ at, actor, kind: what, file, sha256, ...counts }) => h("tr", {},
      h("td", { text: moment(at) }), h("td", { text: actor === "system" ? t("log.system") : actor.replace("account:", "") }), h("td", { text: said("imports.kind", what) }),
      h("td", {}, h("span", { class: "words", text: file }), " ", h("code", { class: "muted small", title: sha256, text: sha256.slice(0, 12) })),
      h("td", { class: "words", text: counted(counts).map((pair) => pair.join(" ")).join(" · ") })), 5, "imports.none_before");
  } catch (problem) {
    failed($("#before-rows"), 5, problem, showBefore);
  }
}

async function start() {
  try {
    kinds = await get("admin/imports/kinds");
    showKind();
    if ($("#i-file").files.length) take();
  } catch (problem) {
    refuse(problem.message);
  }
  showBefore();
}

start();
