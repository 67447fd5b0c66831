// Who else has this incident open: said every 15 seconds while it is on the screen, and once when it is put away.
import { fill, h, icon } from "../dom.js";
import { post } from "../api.js";
import { t, word } from "../messages.js";

const EVERY_MS = 15000;

export class Presence {
  constructor() {
    this.box = h("div", { class: "presence", role: "status" });
    this.number = null;
    this.timer = 0;
    window.addEventListener("pagehide", () => this.leave());
  }

  enter(number) {
    if (this.number === number) return;
    this.leave();
    this.number = number;
    this.say();
    this.timer = setInterval(() => { if (!document.hidden) this.say(); }, EVERY_MS);
  }

  async say() {
    const { number } = this;
    try {
      const others = await post(`incidents/${encodeURIComponent(number)}/presence`, { open: true });
      if (number !== this.number) return;
      fill(this.box, others.length && h("p", { class: "note amber small" }, icon("person"),
        h("span", { text: t("presence.others", { names: others.map((each) => `${each.name}（${word("role", each.role)}）`).join("、") }) })));
    } catch {
      fill(this.box); // a help, not the work
    }
  }

  leave() {
    clearInterval(this.timer);
    if (this.number) post(`incidents/${encodeURIComponent(this.number)}/presence`, { open: false }).catch(() => {});
    this.number = null;
    fill(this.box);
  }
}
