// An incident whose place is not sure: candidates on the map, a search, or a pin dropped by hand.
import { fill, h, icon, toast } from "../dom.js";
import { get, post } from "../api.js";
import { pin } from "../ground.js";
import { t, word } from "../messages.js";
import { coordinates } from "./coordinates.js";

const L = window.L;

/** Who would answer at a candidate: grid, post and person; nothing where it was not asked. */
export function ownerWords({ suggested }) {
  if (suggested === undefined) return null;
  const words = suggested
    ? [`${suggested.grid} ${suggested.grid_name || ""}`.trim(), suggested.post && `${suggested.person || t("grid.nobody")}（${word("post", suggested.post)}）`].filter(Boolean).join(" · ")
    : t("place.nobody_there");
  return h("span", { class: "block small", dataset: { suggested: "" }, text: `→ ${words}` });
}

export function placeBox(incident, { map, onDone }) {
  const needed = !incident.location || incident.queue === "place_needed";
  if (!needed && !incident.moves?.includes("set_place")) return { element: null, release() {} };
  const layer = L.layerGroup().addTo(map);
  let marker = null;
  let waiting = false;

  async function settle(body) {
    try {
      await post(`incidents/${encodeURIComponent(incident.number)}/place`, { ...body, version: incident.version });
      document.activeElement?.blur();
      onDone(t("place.done"));
    } catch (problem) {
      toast(problem.message, "red");
    }
  }

  const dropped = h("div", {});
  function drop(latlng) {
    waiting = false;
    map.getContainer().classList.remove("aiming");
    marker?.remove();
    marker = pin(map, latlng.lat, latlng.lng, (moved) => { latlng = moved; });
    fill(dropped, h("button", { class: "button main wide", type: "button", dataset: { settle: "" },
      on: { click: () => settle({ lon: latlng.lng, lat: latlng.lat, datum: "wgs84" }) } }, icon("check"), t("place.use_pin")));
    dropped.querySelector("button").focus();
  }
  const onMap = (event) => waiting && drop(event.latlng);
  map.on("click", onMap);
  function aim() {
    waiting = true;
    map.getContainer().classList.add("aiming");
    toast(t("place.aim"));
  }

  function shown(candidates, choose) {
    layer.clearLayers();
    const bounds = L.latLngBounds([]);
    const rows = candidates.map((candidate, index) => {
      const at = [candidate.lat, candidate.lon];
      bounds.extend(at);
      const number = L.divIcon({ className: "cluster lamp-amber", html: h("span", { text: String(index + 1) }), iconSize: [30, 30] });
      L.marker(at, { icon: number, keyboard: false, zIndexOffset: 900 }).on("click", () => choose(candidate, index)).addTo(layer);
      return h("li", { class: "candidate" },
        h("b", { class: "order", text: String(index + 1) }),
        h("button", { class: "button quiet grow start", type: "button", on: { click: () => map.setView(at, 17) } },
          h("span", { class: "grow" }, h("span", { class: "block", text: candidate.label || candidate.street || "" }),
            h("span", { class: "block small muted", text: `${word("match", candidate.match)} · ${t("place.confidence", { n: Math.round((candidate.confidence || 0) * 100) })}` }),
            ownerWords(candidate))),
        h("button", { class: "button", type: "button", text: t("place.use"), on: { click: () => choose(candidate, index) } }));
    });
    if (bounds.isValid()) map.fitBounds(bounds, { padding: [70, 70], maxZoom: 17 });
    return rows;
  }

  const list = h("ol", { class: "candidates" });
  const own = incident.candidates || [];
  if (!needed) fill(list);
  else if (own.length) fill(list, shown(own, (_, index) => settle({ candidate: index })));
  else fill(list, h("li", { class: "muted", text: t("place.no_candidate") }));

  const search = h("form", { class: "row", role: "search", on: { submit: async (event) => {
    event.preventDefault();
    const typed = coordinates(search.elements.place.value);
    if (typed) {
      map.setView([typed.lat, typed.lon], 17);
      drop({ lng: typed.lon, lat: typed.lat });
      return;
    }
    try {
      const answer = await get("geocode", { q: search.elements.place.value, owners: true, category: incident.category?.code });
      const sure = answer.lon !== null && !answer.candidates?.length;
      const found = sure ? [{ ...answer, label: answer.street || answer.query }] : answer.candidates || [];
      if (found.length) fill(list, shown(found, (candidate) => settle({ lon: candidate.lon, lat: candidate.lat, datum: "wgs84" })));
      else fill(list, h("li", { class: "muted", text: t("place.not_found") }));
    } catch (problem) {
      toast(problem.message, "red");
    }
  } } },
    h("input", { name: "place", "aria-label": t("place.search"), placeholder: t("place.search"), value: incident.address || "" }),
    h("button", { class: "button", type: "submit" }, icon("search"), t("common.search")));

  const tools = [list, search,
    h("button", { class: "button wide", type: "button", dataset: { aim: "" }, on: { click: aim } }, icon("target"), t("place.drop")),
    dropped];
  const element = needed
    ? h("section", { class: "place-box", "aria-label": t("place.title") },
      h("h2", { class: "row" }, icon("pin"), t("place.title")), h("p", { class: "small muted", text: t("place.hint") }), ...tools)
    : h("details", { class: "card correct" }, h("summary", { text: t("place.correct") }), h("div", { class: "stack" }, ...tools));
  return {
    element,
    release() {
      layer.remove();
      marker?.remove();
      map.off("click", onMap);
      map.getContainer().classList.remove("aiming");
    },
  };
}
