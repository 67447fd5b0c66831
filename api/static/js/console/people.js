// Somebody on a shift on the map: the sign of their post, their name, and how old the position is.
import { h, icon } from "../dom.js";
import { t, word } from "../messages.js";

const L = window.L;

/** Minutes since the last position; null without one. */
export const ageOf = (row) => (row.position_at ? Math.max(0, Math.round((Date.now() - new Date(row.position_at)) / 60000)) : null);

export function personMark(row, { permanent = false } = {}) {
  const words = `${row.name}（${word("post", row.post)}） · ${t("duty.position", { n: ageOf(row) })}`;
  const mark = L.marker([row.lat, row.lon], { icon: L.divIcon({ className: "person-mark", html: h("span", {}, icon(row.post)), iconSize: [30, 30] }),
    keyboard: true, zIndexOffset: 1200 }).bindTooltip(h("span", { text: words }), { direction: "top", offset: [0, -15], permanent });
  // Reached by the tabulator key too, and said by its name.
  return mark.on("add", () => mark.getElement()?.setAttribute("aria-label", words));
}
