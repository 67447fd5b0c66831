// Many incidents at once: what may be done with those that are marked, each with its own result.
import { fill, h, icon, toast } from "../dom.js";
import { post } from "../api.js";
import { t, word } from "../messages.js";
import { NEEDS, personChoice } from "./moves.js";
import { readyReplies } from "./ready.js";

// What can be asked for in one small form; the rest is done on the incident itself.
const ASKABLE = new Set(["reason", "closing_condition"]);
const GIVING = ["dispatch", "reassign", "assign"];
const POSTS = ["officer", "cleaner", "gardener", "maintainer"];

export class Bulk {
  constructor(box, { list, ground, onDone }) {
    this.box = box;
    Object.assign(this, { list, ground, onDone });
    this.failures = [];
    this.dragged = new Map(); // incidents given by drag that the list does not hold
    this.target = null;
    this.shown = "";
  }

  /** Opens the form for what was dragged onto a person or grid: `give` as the form's own choices are written. */
  give(incidents, target) {
    const listed = incidents.filter((incident) => this.list.items.has(incident.number));
    this.dragged = new Map(incidents.filter((incident) => !listed.includes(incident)).map((incident) => [incident.number, incident]));
    this.failures = [];
    this.kind = "give";
    this.target = target;
    this.list.mark(listed.map((incident) => incident.number));
    this.show();
    this.box.querySelector("form textarea")?.focus();
  }

  marked() {
    return [...this.list.marked(), ...this.dragged.values()];
  }

  show() {
    const marked = this.marked();
    this.box.hidden = !marked.length && !this.failures.length;
    if (this.box.hidden) { fill(this.box); this.kind = null; this.target = null; this.shown = ""; return; }
    // The list is renewed with every event: the words in the form stay as long as what they are for.
    const shown = JSON.stringify([this.kind, this.target, this.failures, marked.map((incident) => [incident.number, incident.moves])]);
    if (shown === this.shown) return;
    this.shown = shown;
    const possible = new Map();
    const add = (move) => possible.set(move, (possible.get(move) || 0) + 1);
    for (const incident of marked) {
      const moves = incident.moves || [];
      if (moves.some((move) => GIVING.includes(move))) add("give");
      for (const move of moves) if (!GIVING.includes(move) && (NEEDS[move] || []).every((need) => ASKABLE.has(need)) && NEEDS[move]) add(move);
      if (moves.includes("merge") && marked.length > 1) add("merge");
    }
    const rank = ["give", "note", "merge", "send_back"];
    const place = (move) => (rank.includes(move) ? rank.indexOf(move) : 9);
    const moves = [...possible].sort((a, b) => place(a[0]) - place(b[0]));
    if (this.kind && !possible.has(this.kind)) this.kind = null;
    fill(this.box,
      h("div", { class: "row" }, h("b", { class: "grow", role: "status", text: t("bulk.marked", { n: marked.length }) }),
        h("button", { class: "button quiet small-button", type: "button", on: { click: () => this.clear() } }, icon("close"), t("bulk.clear"))),
      h("div", { class: "row wrap" }, moves.map(([move, n]) => h("button", {
        class: "button small-button", type: "button", dataset: { bulk: move }, "aria-pressed": String(this.kind === move),
        text: `${move === "give" ? t("bulk.give") : move === "merge" ? t("bulk.merge") : word("move", move)}${n < marked.length ? ` (${n})` : ""}`,
        on: { click: () => { this.kind = move; this.target = null; this.show(); this.box.querySelector("form select, form textarea")?.focus(); } } }))),
      this.kind && marked.length && this.form(marked),
      this.failures.length && h("div", { class: "note amber" }, icon("warning"), h("div", {},
        h("b", { class: "block", text: t("bulk.failed", { n: this.failures.length }) }),
        h("ul", {}, this.failures.map((each) => h("li", { class: "small" }, h("span", { class: "number", text: each.number }), " ", each.detail))))));
  }

  form(marked) {
    const needs = this.kind === "give" ? ["reason"] : NEEDS[this.kind] || [];
    const note = this.kind !== "merge" && h("textarea", { rows: "2", required: needs.includes("reason"), "aria-label": t("move.reason_hint"), placeholder: t("move.reason_hint") });
    const condition = needs.includes("closing_condition") && h("input", { required: true, value: t("move.condition_usual"), "aria-label": t("move.condition") });
    const target = this.kind === "give" ? this.targets(marked) : this.kind === "merge"
      ? h("select", { "aria-label": t("bulk.into") }, [...marked].sort((a, b) => a.number.localeCompare(b.number)).map((incident) =>
        h("option", { value: incident.number, text: t("bulk.into_one", { number: incident.number }) })))
      : null;
    return h("form", { class: "stack tight", on: { submit: (event) => {
      event.preventDefault();
      const body = { move: this.kind, note: note ? note.value.trim() || null : null };
      if (condition) body.condition = condition.value.trim();
      let numbers = marked.map((incident) => incident.number);
      if (this.kind === "give") {
        const [how, grid, post_] = target.value.split("|");
        if (how === "post") Object.assign(body, { post: post_, grid: grid || null });
        else body.to = Number(grid);
      }
      if (this.kind === "merge") { body.to = target.value; numbers = numbers.filter((number) => number !== target.value); }
      this.send(numbers, body, marked, event.submitter);
    } } }, this.kind === "give" && this.target && h("b", { text: t("bulk.give_to", { name: this.target.name }) }), target, condition, note,
      note && readyReplies(this.kind === "give" ? "reassign" : this.kind, note, marked.length === 1 ? marked[0].category?.code : null),
      h("button", { class: "button main", type: "submit" }, icon("check"), t("bulk.do", { n: marked.length })));
  }

  /** A post of each one's own grid, a post of another grid, or one person. */
  targets(marked) {
    const select = h("select", { required: true, "aria-label": t("move.to") },
      h("option", { value: "", text: t("move.choose_person") }),
      h("optgroup", { label: t("bulk.own_grid") }, POSTS.map((post_) => h("option", { value: `post||${post_}`, text: word("post", post_) }))));
    const [how, code] = (this.target?.give || "").split("|");
    if (how === "grid") select.append(h("optgroup", { label: this.target.name }, POSTS.map((post_) => h("option", { value: `post|${code}|${post_}`, text: word("post", post_) }))));
    const people = personChoice(marked[0], this.ground.grids);
    for (const group of people.querySelectorAll("optgroup")) {
      for (const option of group.children) option.value = `person|${option.value}`;
      select.append(group);
    }
    if (how === "person") {
      // Leaders have posts too, though no task is theirs by itself.
      if (![...select.options].some((option) => option.value === this.target.give)) select.append(h("option", { value: this.target.give, text: this.target.name }));
      select.value = this.target.give;
    } else if (how === "grid") {
      select.value = `post|${code}|${marked[0].tasks?.find((task) => POSTS.includes(task.post))?.post || POSTS[0]}`;
    }
    return select;
  }

  async send(numbers, body, marked, button) {
    button.disabled = true;
    const versions = Object.fromEntries(marked.map((incident) => [incident.number, incident.version]));
    try {
      const answer = await post("incidents/moves", { ...body, numbers, versions });
      this.failures = answer.results.filter((each) => !each.done);
      toast(t("bulk.done", { n: answer.done, rest: this.failures.length }), this.failures.length ? "red" : "");
      this.kind = null;
      this.target = null;
      this.dragged.clear();
      this.list.unmark(answer.results.filter((each) => each.done).map((each) => each.number));
      this.list.unmark(body.move === "merge" && !this.failures.length ? [body.to] : []);
      this.show();
      this.onDone();
    } catch (problem) {
      button.disabled = false;
      toast(problem.message, "red");
    }
  }

  clear() {
    this.failures = [];
    this.kind = null;
    this.target = null;
    this.dragged.clear();
    this.list.unmark();
    this.show();
  }
}
