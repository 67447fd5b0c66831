// The resident's form: the photo is made small here, the pin is set on the map. Without this script the form still works.
import "./page.js";
import { $, debounced, fill, h } from "./dom.js";
import { t } from "./messages.js";
import { pin } from "./ground.js";
import { shrink } from "./photos.js";
import { showStreets } from "./streets.js";
import { moment } from "./times.js";

const L = window.L;
const form = $("#report");
const { map } = window.gridward;
let marker = null;

const [west, south, east, north] = form.dataset.bounds.split(",").map(Number);
if (Number.isFinite(north)) map.setView([(south + north) / 2, (west + east) / 2], 15);

function place(latlng) {
  marker?.remove();
  marker = pin(map, latlng.lat, latlng.lng, place);
  form.elements.lon.value = latlng.lng.toFixed(7);
  form.elements.lat.value = latlng.lat.toFixed(7);
  near();
}

const asked = {};
/** The newest question of each kind: an answer to words or a place that have changed since comes too late. */
const ask = async (path, values) => {
  asked[path]?.abort();
  asked[path] = new AbortController();
  const { signal } = asked[path];
  const answer = await fetch(`/report/${path}?${new URLSearchParams(values)}`, { signal }).catch(() => null);
  return answer?.ok ? answer.json() : [];
};

/** What is open around the pin already: perhaps this very problem, to be followed instead. */
async function near() {
  const found = await ask("near.json", { lon: form.elements.lon.value, lat: form.elements.lat.value });
  fill($("[data-near]"), found.length > 0 && h("div", { class: "note amber" }, h("div", { class: "grow" }, h("b", { class: "block", text: t("public.near") }),
    h("ul", { class: "stack" }, found.map((one) => h("li", {}, h("a", { href: `/track/${one.number}`, target: "_blank", rel: "noopener" },
      h("span", { class: "block", text: `${one.category || t("public.near_unknown")} · ${t("public.near_away", { m: one.distance_m })}` }),
      h("span", { class: "block small", text: `${moment(one.reported_at)} · ${one.status}` })),
    h("button", { class: "button", type: "button", text: t("public.near_same"), on: { click: () => support(one.number) } })))))));
}

/** Counted in on what is there already: nothing that is typed here goes along but the form's key, which counts once. */
function support(number) {
  const word = (name, value) => h("input", { type: "hidden", name, value });
  const sent = h("form", { method: "post", action: `/track/${number}`, hidden: true }, word("act", "support"), word("key", form.elements.key.value));
  document.body.append(sent);
  sent.submit();
}

const suggested = debounced(500, async () => {
  const found = await ask("suggestions.json", { q: form.elements.description.value.slice(0, 500) });
  fill($("[data-suggested]"), found.map(({ code, name }) => h("button", { class: "button", type: "button", text: name, dataset: { code },
    on: { click: () => { form.elements.category.value = code; fill($("[data-suggested]")); } } })));
});
form.elements.description.addEventListener("input", suggested);
map.on("click", (event) => place(event.latlng));
if (form.elements.lon.value) {
  place(L.latLng(Number(form.elements.lat.value), Number(form.elements.lon.value)));
  map.setView(marker.getLatLng(), 17);
}
showStreets(map);

$("[data-here]").addEventListener("click", () => {
  const said = $("[data-here-said]");
  said.textContent = "";
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    const here = L.latLng(coords.latitude, coords.longitude);
    place(here);
    map.setView(here, 17);
  }, () => { said.textContent = t("public.here_failed"); }, { enableHighAccuracy: true, timeout: 10000 });
});

form.elements.photo.addEventListener("change", async () => {
  const [file] = form.elements.photo.files;
  if (!file) return;
  const shown = $("[data-photo-shown]");
  try {
    const small = await shrink(file);
    const parcel = new DataTransfer();
    parcel.items.add(new File([small], "photo.jpg", { type: "image/jpeg" }));
    form.elements.photo.files = parcel.files;
    shown.src = URL.createObjectURL(small);
    shown.hidden = false;
    $("[data-photo-text]").textContent = t("public.photo_taken");
  } catch {
    form.elements.photo.value = "";
    shown.hidden = true;
    $("[data-photo-text]").textContent = t("field.photo_failed");
  }
});
form.addEventListener("submit", () => { $("button.main", form).disabled = true; });
window.addEventListener("pageshow", () => { $("button.main", form).disabled = false; });
