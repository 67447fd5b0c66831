// The shift: signed in and out by place; the way walked is sent only in between.
import { metresApart } from "./order.js";

const EVERY_MS = 60000;
const APART_M = 15;
const MOST = 40;

export class Shift {
  constructor(outbox) {
    this.outbox = outbox;
    this.known = { on_shift: false };
    this.fixes = [];
    this.last = null;
    setInterval(() => this.flush(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.flush());
  }

  /** As it will stand when the outbox is empty. */
  get now() {
    const own = this.outbox.items.filter((item) => item.kind === "shift");
    const newest = own[own.length - 1];
    return newest ? { ...this.known, on_shift: newest.way === "in", began_at: newest.way === "in" ? newest.at : this.known.began_at, unsent: true } : this.known;
  }

  sign(way, me) {
    if (way === "out") this.flush();
    this.last = null;
    return this.outbox.add([{ kind: "shift", number: "shift", way, ...(me ? { lon: me.lon, lat: me.lat } : {}) }]);
  }

  /** A new position of the phone; kept only on a shift. */
  seen(me) {
    if (!this.now.on_shift) return;
    const at = Date.now();
    if (this.last && metresApart(this.last, me) < APART_M && at - this.last.at < EVERY_MS) return;
    this.last = { ...me, at };
    this.fixes.push({ at: new Date(at).toISOString(), lon: me.lon, lat: me.lat, accuracy_m: Math.round(me.accuracy_m || 0) });
    if (this.fixes.length >= MOST) this.flush();
  }

  /** A step of the work is done here. */
  mark(me) {
    this.last = null;
    this.seen(me);
  }

  flush() {
    if (!this.fixes.length) return;
    const positions = this.fixes.splice(0);
    this.outbox.add([{ kind: "positions", number: "shift", positions }]).catch(() => this.fixes.unshift(...positions));
  }
}
