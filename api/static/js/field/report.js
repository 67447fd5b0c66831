// Found on patrol: place, category, words, photographs; fixed on the spot with one photograph before and one after.
import { fill, h, icon } from "../dom.js";
import { named, t, word } from "../messages.js";
import { photoRow } from "./forms.js";

export function reportSheet(box, { me, post, categories, act, onClose, aim }) {
  const before = [];
  const after = [];
  let at = me ? { lon: me.lon, lat: me.lat } : null;
  const mine = categories.filter((one) => one.post === post && one.kind === "event");
  const rest = categories.filter((one) => !mine.includes(one));
  const options = (list) => list.map((one) => h("option", { value: one.code }, named(one)));
  const kind = h("select", { id: "new-category", on: { change: ready } }, h("option", { value: "" }, t("field.choose")),
    mine.length > 0 && h("optgroup", { label: t("field.my_trade", { post: word("post", post) }) }, options(mine)),
    h("optgroup", { label: t("field.all_categories") }, options(rest)));
  const words = h("textarea", { id: "new-words", rows: "3", maxlength: "1000", on: { input: ready } });
  const fixed = h("input", { type: "checkbox", id: "new-fixed", on: { change: () => { afterRow.hidden = !fixed.checked; ready(); } } });
  const afterRow = photoRow("after", t("field.finish_photo"), after, ready);
  afterRow.hidden = true;
  const where = h("p", { class: "row", role: "status" });
  const send = h("button", { class: "button main big wide", type: "button", dataset: { send: "report" }, on: { click: save } }, icon("check"), t("field.new_send"));

  function ready() {
    fill(where, icon("pin"), h("span", { class: "grow", text: at ? t(at.aimed ? "field.place_aimed" : "field.place_me", { m: Math.round(me?.accuracy_m || 0) }) : t("field.no_position") }));
    const said = words.value.trim() || kind.value;
    send.disabled = !said || !at || (fixed.checked && (!before.length || !after.length));
  }
  async function save() {
    send.disabled = true;
    await act([{ kind: "report", number: `new:${crypto.randomUUID()}`, description: words.value.trim() || kind.selectedOptions[0].textContent,
      category: kind.value || null, lon: at.lon, lat: at.lat, fixed: fixed.checked, photos: fixed.checked ? [...before, ...after] : before }]);
    onClose();
  }
  fill(box,
    h("header", { class: "sheet-head" },
      h("button", { class: "button quiet big", type: "button", "aria-label": t("common.back"), dataset: { close: "" }, on: { click: onClose } }, icon("back")),
      h("h1", { class: "grow", text: t("field.new") })),
    h("div", { class: "sheet-body stack big-fields" },
      photoRow("before", t("field.before_photo"), before, ready),
      h("div", {}, h("label", { for: "new-category", text: t("field.category_label") }), kind),
      h("div", {}, h("label", { for: "new-words", text: t("field.words") }), words),
      where,
      h("button", { class: "button big wide", type: "button", dataset: { act: "aim" }, on: { click: async () => { const chosen = await aim(at || me); if (chosen) at = { ...chosen, aimed: true }; ready(); } } }, icon("map"), t("field.place_on_map")),
      h("label", { class: "choice card", for: "new-fixed" }, fixed, h("span", {}, h("b", { class: "block", text: t("field.fixed") }), h("span", { class: "muted", text: t("field.fixed_hint") }))),
      afterRow, send));
  ready();
}
