// The resident's form: the photo is made small here, the pin is set on the map. Without this script the form still works.
import "./page.js";
import { $ } from "./dom.js";
import { t } from "./messages.js";
import { pin } from "./ground.js";
import { shrink } from "./photos.js";
import { showStreets } from "./streets.js";

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
}
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
form.addEventListener("submit", () => { $("button[type=submit]", form).disabled = true; });
window.addEventListener("pageshow", () => { $("button[type=submit]", form).disabled = false; });
