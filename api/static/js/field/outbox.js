// The outbox: everything done on the phone is first written here, then sent in order; nothing leaves it unsent
// unless its owner gives it up. Each account on a shared phone has its own.
import { get, post, upload, Problem } from "../api.js";
import { townNow } from "./clock.js";
import { addItem, allItems, keep, kept, putItem, removeItem } from "./store.js";

const STUCK = new Set(["conflict", "refused"]);
const LONGEST_WAIT_MS = 60000;
const STEPS_KEPT = 200;
// Of what others did meanwhile, so many of the newest steps are shown beside mine.
const THEIRS_SHOWN = 3;
// What others do on their own tasks is no reason to stop mine.
const OTHERS_OWN = new Set(["accept_task", "arrive", "finish_task", "offer_task"]);
const STEPS = new Set(["move", "pin"]);

/** What a person counts as theirs to send; positions go along unseen. */
export const counted = (items) => items.filter((item) => item.kind !== "positions");

export class Outbox {
  constructor({ account, username, onChange, onSent, renew }) {
    Object.assign(this, { account, username, onChange, onSent, renew });
    this.items = [];
    this.steps = null; // "number:version" that a step of ours left behind → the version it made
    this.busy = false;
    this.wait_ms = 2000;
    this.timer = 0;
    addEventListener("online", () => this.send());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.send());
  }

  async read() {
    this.items = (await allItems()).filter((item) => item.account === this.account);
    this.onChange(this.items);
    return this.items;
  }

  /** Writes what was done; resolves only when it is safe on the phone. */
  async add(items) {
    await this.readSteps();
    for (const item of items) {
      if (STEPS.has(item.kind)) item.version = this.afterOwnSteps(item.number, item.version);
      await addItem({ account: this.account, client_id: crypto.randomUUID(), at: townNow().toISOString(), state: "waiting", ...item });
    }
    await this.read();
    this.send();
  }

  async readSteps() {
    this.steps ??= new Map(await kept(`steps:${this.account}`).catch(() => []) || []);
  }

  /** The screen may still show the version before our own last step: what we do next stands on that step. */
  afterOwnSteps(number, version) {
    let now = version;
    while (this.steps.has(`${number}:${now}`)) now = this.steps.get(`${number}:${now}`);
    return now;
  }

  async send() {
    if (this.busy || !this.items.some((item) => !STUCK.has(item.state))) return;
    this.busy = true;
    clearTimeout(this.timer);
    let later = false;
    try {
      await this.readSteps();
      // Read anew after each: more may have been written while one was on its way.
      for (let item = this.next(await this.read()); item && !later; item = this.next(await this.read())) {
        later = (await this.sendOne(item)) === "later";
      }
    } finally {
      this.busy = false;
      await this.read();
    }
    if (later) this.again();
    else this.wait_ms = 2000;
  }

  /** The first item that may go: an incident whose earlier item is stuck keeps its later ones back. */
  next(items) {
    const held = new Set();
    for (const item of items) {
      if (STUCK.has(item.state)) held.add(item.number);
      else if (!held.has(item.number)) return item;
    }
    return null;
  }

  again() {
    this.timer = setTimeout(() => this.send(), this.wait_ms);
    this.wait_ms = Math.min(this.wait_ms * 2, LONGEST_WAIT_MS);
  }

  async sendOne(item, renewed = false) {
    const retried = Boolean(item.tried);
    // The answer to our own step before may have come while this one was being written down.
    if (STEPS.has(item.kind)) item.version = this.afterOwnSteps(item.number, item.version);
    item.tried = true;
    item.state = "sending";
    await putItem(item);
    this.onChange(this.items);
    try {
      const answer = await this.sendKind(item);
      return await this.finished(item, answer);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.isLine || problem.status >= 500) return this.put(item, "waiting", "later");
      if (problem.status === 403 && problem.code === "auth.csrf" && !renewed && (await this.renew())) return this.sendOne(item, true);
      if (problem.status === 401) return this.put(item, "sign_in", "later");
      if (problem.status === 409 && STEPS.has(item.kind)) return this.conflicted(item, retried, problem);
      item.why = problem.message;
      return this.put(item, "refused", "stuck");
    }
  }

  async put(item, state, outcome) {
    item.state = state;
    await putItem(item);
    return outcome;
  }

  sendKind(item) {
    const { client_id, lon, lat, at } = item;
    const number = encodeURIComponent(item.number);
    if (item.kind === "photo" || item.kind === "voice") return this.sendEvidence(item);
    if (item.kind === "report") return this.sendReport(item);
    if (item.kind === "pin") return post(`field/incidents/${number}/pin`, { lon, lat, version: item.version, client_id });
    if (item.kind === "shift") return post(`shift/sign-${item.way}`, { at, client_id, ...(lon === undefined ? {} : { lon, lat }) });
    if (item.kind === "positions") return post("me/positions", { positions: item.positions });
    return this.sendMove(item);
  }

  sendMove(item) {
    const { lon, lat, accuracy_m } = item;
    const body = { move: item.move, note: item.note || null, version: item.version, done_at: item.at, ...(lon === undefined ? {} : { lon, lat, accuracy_m }), ...item.values };
    return post(`incidents/${encodeURIComponent(item.number)}/moves`, body, { "Idempotency-Key": item.client_id });
  }

  sendReport(item) {
    const form = new FormData();
    form.set("client_id", item.client_id);
    form.set("description", item.description);
    form.set("occurred_at", item.at);
    if (item.category) form.set("category", item.category);
    if (item.lon !== undefined) { form.set("lon", item.lon); form.set("lat", item.lat); }
    if (item.fixed) form.set("fixed_on_spot", "true");
    for (const { stage, photo } of item.photos) form.append(stage, photo, `${stage}.jpg`);
    return upload("field/reports", form);
  }

  sendEvidence(item) {
    const form = new FormData();
    form.set("photo", item.photo, item.kind === "voice" ? "voice" : "photo.jpg");
    form.set("stage", item.stage);
    form.set("taken_at", item.at);
    form.set("client_id", item.client_id);
    if (item.lon !== undefined) { form.set("lon", item.lon); form.set("lat", item.lat); }
    return upload(`incidents/${encodeURIComponent(item.number)}/evidence`, form);
  }

  async finished(item, answer) {
    // What we did later was done on top of this very step: it now stands on the version the step made.
    if (STEPS.has(item.kind) && answer?.version > item.version) {
      this.steps.set(`${item.number}:${item.version}`, answer.version);
      await keep(`steps:${this.account}`, [...this.steps].slice(-STEPS_KEPT));
      await this.rebase(item, answer.version);
    }
    await removeItem(item.order);
    this.onSent(item, answer);
    return "sent";
  }

  /** The item and what was done after it on the same version stand on a newer one. */
  async rebase(item, version) {
    const before = item.version;
    for (const later of this.items) {
      if (later.order > item.order && later.number === item.number && STEPS.has(later.kind) && later.version === before) {
        later.version = version;
        await putItem(later);
      }
    }
    item.version = version;
  }

  /** Somebody else was faster, or our first sending did arrive and only its answer was lost. */
  async conflicted(item, retried, problem) {
    try {
      const [incident, history] = await Promise.all([
        get(`incidents/${encodeURIComponent(item.number)}`), get(`incidents/${encodeURIComponent(item.number)}/history`)]);
      const mine = history.some((line) => line.move === item.move && line.actor === `account:${this.username}` && (line.note || null) === (item.note || null));
      if (retried && mine) return await this.finished(item, incident);
      const others = history.filter((line) => line.seq > (item.seq ?? Infinity) && line.actor !== `account:${this.username}`);
      if (item.kind === "move" && others.length && others.every((line) => OTHERS_OWN.has(line.move)) && incident.moves.includes(item.move)) {
        await this.rebase(item, incident.version);
        delete item.tried;
        return this.put(item, "waiting", "again");
      }
      item.theirs = {
        status: incident.status, version: incident.version, category: incident.category, location: incident.location,
        lines: (others.length ? others.slice(-THEIRS_SHOWN) : history.slice(-1)).map(({ move, at, note, actor, actor_name }) => ({ move, at, note, actor, actor_name })),
      };
    } catch (second) {
      if (second instanceof Problem && second.isLine) return this.put(item, "waiting", "later");
      item.theirs = null;
    }
    item.why = problem.message;
    return this.put(item, "conflict", "stuck");
  }

  async onTop(item) {
    if (item.theirs) await this.rebase(item, item.theirs.version);
    delete item.theirs;
    delete item.tried;
    await this.put(item, "waiting");
    await this.read();
    this.send();
  }

  async giveUp(item) {
    await removeItem(item.order);
    await this.read();
    this.send();
  }
}
