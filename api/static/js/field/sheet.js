// One task or check in full, with everything that may be done about it. `act(items)` writes into the outbox.
import { fill, h, icon, toast } from "../dom.js";
import { named, t, word } from "../messages.js";
import { mark } from "../marks.js";
import { awayWords } from "../away.js";
import { left, moment } from "../times.js";
import { form, takePhoto } from "./forms.js";
import { wayTo } from "./navigate.js";
import { away, extensionChip, isOver, isTask, stateWord } from "./tasks.js";
import { canRecord, recorder } from "./voice.js";

// A result finished so far from its incident is worth a look.
const FAR_M = 200;
const POSTS = ["officer", "cleaner", "gardener", "maintainer"];

export function sheet(box, task, ctx) {
  const { me, act, onClose, onMap, aim, colleagues, categories, replies } = ctx;
  const { incident } = task;
  const { number, version } = incident;
  const may = new Set(incident.moves || []);
  const open = !isOver(task) && task.status !== "waiting" && !task.taken_by;
  const said = h("div", { class: "stack", id: "said" });
  const place = me ? { lon: me.lon, lat: me.lat } : {};
  const step = (move, note, values = {}) => ({ kind: "move", number, move, note: note || null, version, seq: task.seq, values });
  const own = (move, note, values = {}) => step(move, note, { task: task.id, ...values });
  const shot = ({ stage, photo }) => ({ kind: "photo", number, stage, photo, ...place });
  const can = (move) => open && (may.has(move) || (isTask(task) && task.unsent > 0));
  const post = task.post;

  // The bureau's ready-made replies for a move, those of this category first; then the phone's own short answers.
  // Asked when a form is opened: they may have come since the sheet was drawn.
  const ready = (move, ...more) => [...replies().filter((one) => one.move === move && (!one.category || one.category === incident.category?.code))
    .sort((a, b) => Boolean(b.category) - Boolean(a.category)).map((one) => ({ words: one.words })), ...more];

  function ask(node) {
    fill(said, node);
    box.querySelector("details.more")?.removeAttribute("open");
    node.scrollIntoView({ block: "start", behavior: "smooth" });
    node.querySelector("button, input, select, textarea")?.focus({ preventScroll: true });
  }
  const done = async (items) => { await act(items); onClose(); };
  const button = (name, sign, text, click, kind = "") => h("button", { class: `button big wide ${kind}`, type: "button", dataset: { act: name }, on: { click } }, icon(sign), text);

  const forms = {
    finish: () => form({ name: "finish", title: t("field.finish"), choices: ready("finish_task", `field.results_${post}`), needs: "photo", photo: "after", hint: t("field.photo_needed"), button: t("field.finish"),
      send: ({ words, shots }) => done([...shots.map(shot), own("finish_task", words)]) }),
    return: () => form({ name: "return", title: t("field.return_why"), choices: ready("return_task", "field.return_reasons", `field.return_reasons_${post}`), needs: "words", button: t("field.return_send"), kind: "danger", sign: "return",
      send: ({ words }) => done([own("return_task", words)]) }),
    more: () => form({ name: "more", title: t("field.more"), choices: ready("ask_extension", "field.more_reasons"), needs: "words", button: t("field.more_send"), sign: "clock",
      send: ({ words }) => done([step("ask_extension", words)]) }),
    help: () => form({ name: "help", title: t("field.help"), choices: ready("add_task"), note: t("field.help_note"), needs: "pick", button: t("field.help_send"), sign: "person",
      pick: [t("field.help_who"), POSTS.filter((one) => one !== post).map((one) => [one, word("post", one)])],
      send: ({ words, picked }) => done([step("add_task", words, { to: picked })]) }),
    hand: () => form({ name: "hand", title: t("field.hand"), choices: ready("hand_over", "field.hand_reasons"), needs: "words pick", button: t("field.hand_send"), sign: "person",
      pick: [t("field.hand_who"), colleagues.map(({ id, name, post: of }) => [String(id), `${name} · ${word("post", of)}`])],
      send: ({ words, picked }) => done([own("hand_over", words, { to: Number(picked) })]) }),
    note: () => form({ name: "note", title: t("field.inner_note"), note: t("field.inner_note_hint"), needs: "words", button: t("field.inner_note_send"), sign: "speak",
      send: ({ words }) => done([step("note", words)]) }),
    question: () => form({ name: "question", title: t("field.question"), choices: ready("ask_reporter"), note: t("field.question_note"), needs: "words", button: t("field.question_send"), sign: "phone",
      send: ({ words }) => done([step("ask_reporter", words)]) }),
    category: () => form({ name: "category", title: t("field.category"), needs: "words pick", note: t("field.category_why"), button: t("field.category_send"), sign: "filter",
      pick: [t("field.category"), categories.map((one) => [one.code, named(one)])],
      send: ({ words, picked }) => done([step("set_category", words, { category: picked })]) }),
    passed: () => form({ name: "passed", title: t("field.check_passed"), photo: "after", photoLabel: t("field.scene_photo"), needs: "photo", button: t("field.check_passed"),
      send: ({ words, shots }) => done([...shots.map(shot), step("check_passed", words)]) }),
    failed: () => form({ name: "failed", title: t("field.check_failed"), choices: ready("check_failed", "field.check_reasons"), photo: "after", photoLabel: t("field.scene_photo"), needs: "photo words", button: t("field.check_failed"), kind: "danger", sign: "return",
      send: ({ words, shots }) => done([...shots.map(shot), step("check_failed", words)]) }),
    confirmed: () => form({ name: "confirmed", title: t("field.verify_yes"), photo: "before", photoLabel: t("field.scene_photo"), needs: "photo", button: t("field.verify_yes"),
      send: ({ words, shots }) => done([...shots.map(shot), step("verify_confirmed", words)]) }),
    denied: () => form({ name: "denied", title: t("field.verify_no"), choices: ready("verify_denied", "field.verify_reasons"), photo: "before", photoLabel: t("field.scene_photo"), needs: "words", button: t("field.verify_no"), kind: "danger", sign: "return",
      send: ({ words, shots }) => done([...shots.map(shot), step("verify_denied", words)]) }),
  };
  const asking = (name, sign, text, kind) => button(name, sign, text, () => ask(forms[name]()), kind);

  const main = isTask(task) ? [
    can("accept_task") && task.status === "offered" && button("accept", "check", t(task.of_unit ? "field.take" : "field.accept"), () => act([own("accept_task")]), "main"),
    can("arrive") && task.status === "accepted" && button("arrive", "target", t("field.arrive"), () => act([own("arrive")]), "main"),
    can("finish_task") && task.status !== "offered" && asking("finish", "camera", t("field.finish"), task.status === "arrived" ? "main" : ""),
    open && task.status !== "offered" && button("before", "camera", t("field.before_photo"), async () => {
      const photo = await takePhoto(box, "before");
      if (photo) await act([shot({ stage: "before", photo })]);
    }),
    can("return_task") && asking("return", "return", t("field.return")),
  ] : [
    open && may.has("check_passed") && asking("passed", "check", t("field.check_passed"), "main"),
    open && may.has("check_failed") && asking("failed", "return", t("field.check_failed")),
    open && may.has("verify_confirmed") && asking("confirmed", "check", t("field.verify_yes"), "main"),
    open && may.has("verify_denied") && asking("denied", "return", t("field.verify_no")),
  ];
  const more = [
    open && may.has("ask_extension") && !(task.extension?.move === "ask_extension") && asking("more", "clock", t("field.more")),
    open && may.has("add_task") && asking("help", "person", t("field.help")),
    can("hand_over") && isTask(task) && colleagues.length > 0 && asking("hand", "person", t("field.hand")),
    open && may.has("note") && asking("note", "speak", t("field.inner_note")),
    open && may.has("ask_reporter") && asking("question", "phone", t("field.question")),
    open && canRecord() && may.size > 0 && recorder((photo) => act([{ kind: "voice", number, stage: "during", photo, ...place }])),
    open && may.has("set_place") && isTask(task) && button("pin", "pin", t("field.pin_move"), async () => {
      const at = await aim(incident.location || me);
      if (at) { await act([{ kind: "pin", number, ...at, version, seq: task.seq }]); toast(t("field.pin_moved")); }
    }),
    open && may.has("set_category") && categories.length > 0 && asking("category", "filter", t("field.category")),
  ].filter(Boolean);

  const at = incident.location;
  const others = (incident.tasks || []).filter((one) => one.id !== task.id && one.status !== "withdrawn");
  fill(box,
    h("header", { class: "sheet-head" },
      h("button", { class: "button quiet big", type: "button", "aria-label": t("common.back"), dataset: { close: "" }, on: { click: onClose } }, icon("back")),
      h("span", { class: "number grow", text: number }),
      h("span", { class: "chip big accent", text: stateWord(task) })),
    h("div", { class: "sheet-body stack" },
      h("h1", { class: "row" }, mark({ ...incident, lamp: task.lamp || incident.lamp }, 28), named(incident.category) || t("incident.no_category")),
      h("p", { class: "said", text: incident.description || "" }),
      h("p", { class: "row wrap" },
        task.due_at && open && h("span", { class: `chip big ${task.lamp || "green"}`, text: left(task.due_at) }),
        task.due_at && h("span", { class: "muted", text: t("task.due", { at: moment(task.due_at) }) }), extensionChip(task)),
      task.status === "waiting" && h("p", { class: "note" }, icon("clock"), h("span", { text: t("field.waits_for_lead") })),
      task.of_unit && h("p", { class: "note amber" }, icon("person"), h("span", { text: t("field.of_unit_hint") })),
      task.distances?.length > 0 && h("ul", { class: "plain", dataset: { distances: "" } }, task.distances.map((one) =>
        h("li", { class: "row" }, icon("target"), h("span", { class: "grow", text: `${word("move", one.move)} ${moment(one.at)}` }), h("span", { class: one.away_m > FAR_M ? "chip big amber" : "chip big", text: awayWords(one) })))),
      task.note && isOver(task) && h("p", { class: "note red" }, icon("return"), h("span", { text: task.note })),
      h("p", { class: "row" }, icon("pin"), h("span", { class: "grow", text: [incident.address, incident.segment?.street, incident.side && word("side", incident.side)].filter(Boolean).join(" · ") }), h("span", { class: "muted", text: away(task, me) })),
      at && h("div", { class: "two" },
        h("button", { class: "button big", type: "button", on: { click: () => onMap(task) } }, icon("map"), t("field.show_on_map")),
        h("a", { class: "button big", dataset: { way: "" }, href: wayTo(at, incident.segment?.street || named(incident.category)) }, icon("way"), t("field.go"))),
      h("div", { class: "stack" }, main.filter(Boolean)), said,
      more.length > 0 && h("details", { class: "card more" }, h("summary", { text: t("field.more_actions") }), h("div", { class: "stack" }, more)),
      incident.evidence?.length > 0 && h("ul", { class: "photos" }, incident.evidence.map(picture)),
      others.length > 0 && h("details", { class: "card" }, h("summary", { text: t("field.others") }), h("ul", { class: "stack" }, others.map((one) => h("li", { class: "row wrap" },
        icon(POSTS.includes(one.post) ? one.post : "person"), h("span", { class: "grow", text: [word("post", one.post), one.assignee?.name || one.unit].filter(Boolean).join(" · ") }), h("span", { class: "chip", text: word("task_status", one.status) }))))),
      task.earlier?.length > 0 && h("details", { class: "card", dataset: { earlier: "" } }, h("summary", { text: t("field.earlier", { n: task.earlier.length }) }), h("ul", { class: "stack" }, task.earlier.map((one) => h("li", {},
        h("b", { class: "block", text: named(one) || t("incident.no_category") }), h("span", { class: "muted", text: [moment(one.reported_at), word("status", one.status), t("field.away_here", { m: one.m })].join(" · ") }))))),
      incident.reason && h("details", { class: "card" }, h("summary", { text: t("field.why") }), h("p", { text: incident.reason }))));
}

function picture(item) {
  const label = h("span", { class: "small", text: word("stage", item.stage) });
  if (item.kind === "video") return h("li", {}, h("video", { controls: true, preload: "none", src: item.url, "aria-label": word("stage", item.stage) }), label);
  if (item.kind === "document") return h("li", {}, h("a", { href: item.url, download: true, text: "PDF" }), label);
  if (item.media_type?.startsWith("audio/")) return h("li", {}, h("audio", { controls: true, preload: "none", src: item.url }), label);
  return h("li", {}, h("a", { href: item.url }, h("img", { src: item.thumbnail_url, alt: word("stage", item.stage), loading: "lazy" })), label);
}
