// Every notice that went out about an incident: to whom, by which way, when, how it ended; what failed is sent again here.
import { fill, h, icon, toast } from "./dom.js";
import { get, post } from "./api.js";
import { known, t, word } from "./messages.js";
import { moment } from "./times.js";

const FAILED = new Set(["given_up", "uncertain"]);
const COLOUR = { sent: "green", waiting: "", sending: "", given_up: "red", uncertain: "amber", dropped: "" };

/** The section; it fills itself, and opens when something could not be sent. */
export function toldBox(number) {
  const box = h("details", { class: "told", dataset: { told: "" } }, h("summary", { text: t("told.title") }));
  load();
  return box;

  async function load() {
    try {
      show(await get(`incidents/${encodeURIComponent(number)}/notices`));
    } catch (problem) {
      fill(box, h("summary", { text: t("told.title") }), h("p", { class: "note red" }, icon("warning"), h("span", { text: problem.message })));
    }
  }

  function show(all) {
    const failed = all.flatMap((told) => told.ways).filter((way) => FAILED.has(way.state)).length;
    if (failed) box.open = true;
    fill(box, h("summary", {}, t("told.count", { n: all.length }), failed > 0 && h("span", { class: "chip red", text: t("told.failed", { n: failed }) })),
      all.length ? h("ul", { class: "told-list" }, all.map(line)) : h("p", { class: "muted small", text: t("told.none") }));
  }

  function line(told) {
    return h("li", {},
      h("p", {}, h("b", { text: receiver(told) }), " ", h("span", { text: known(`told.kind.${told.kind}`) ? t(`told.kind.${told.kind}`) : told.kind })),
      h("p", { class: "small muted", text: [moment(told.made_at), told.audience === "staff" && t(told.seen_at ? "told.seen" : "told.unseen", { at: moment(told.seen_at) })].filter(Boolean).join(" · ") }),
      h("ul", { class: "ways" }, told.ways.map(way)));
  }

  function way(one) {
    const when = one.state === "sent" ? moment(one.sent_at) : one.state === "waiting" ? t("told.next", { at: moment(one.next_at) }) : "";
    return h("li", { class: "row wrap small" }, h("span", { text: word("told.way", one.way) }),
      h("span", { class: `chip ${COLOUR[one.state] || ""}`, text: word("told.state", one.state) }),
      h("span", { class: "muted", text: [when, one.attempts > 1 && t("told.attempts", { n: one.attempts }), one.error].filter(Boolean).join(" · ") }),
      one.again && h("button", { class: "button small-button", type: "button", dataset: { again: one.id }, text: t("told.again"), on: { click: async (event) => {
        event.currentTarget.disabled = true;
        try {
          await post(`notices/${one.id}/send-again`, {});
          toast(t("told.again_done"));
        } catch (problem) {
          toast(problem.message, "red");
        }
        load();
      } } }));
  }
}

/** A person by name where names are shown; else the role, the post or the kind of receiver. */
function receiver(told) {
  const [kind, code] = String(told.audience).split(":");
  if (kind === "resident") return t("told.resident");
  if (kind === "role") return word("role", code);
  if (kind === "system") return told.name ? t("told.system_named", { name: told.name }) : t("told.system");
  const post_ = told.post ? word(known(`post.${told.post}`) ? "post" : "role", told.post) : "";
  if (told.name) return post_ ? `${told.name}（${post_}）` : told.name;
  return post_ || t(kind === "unit" ? "told.unit" : "told.person");
}
