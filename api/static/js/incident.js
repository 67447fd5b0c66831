// One incident on a page of its own.
import "./page.js";
import { $, fill, h, icon, toast } from "./dom.js";
import { get } from "./api.js";
import { t } from "./messages.js";
import { Ground } from "./ground.js";
import { streetTiles } from "./street_tiles.js";
import { mark } from "./marks.js";
import { story } from "./story.js";
import { toldBox } from "./told.js";
import { movesBox } from "./console/moves.js";
import { evidenceForm } from "./evidence_form.js";

const L = window.L;
const box = $("#story");
const number = box.dataset.number;
const { map } = window.gridward;
const ground = new Ground(map, { streetTiles });
let marker = null;

async function show(said = "") {
  try {
    const [incident, history] = await Promise.all([
      get(`incidents/${encodeURIComponent(number)}`), get(`incidents/${encodeURIComponent(number)}/history`)]);
    fill(box, h("p", { class: "number muted", text: number }),
      ...story(incident, history.items || history, { moves: movesBox(incident, { grids: ground.grids, onDone: show }), told: toldBox(number) }),
      evidenceForm(number, show));
    if (said) toast(said);
    marker?.remove();
    if (incident.location) {
      marker = L.marker([incident.location.lat, incident.location.lon], {
        icon: L.divIcon({ className: "ring", html: mark(incident, 30), iconSize: [30, 30] }), keyboard: false, alt: number }).addTo(map);
      map.setView(marker.getLatLng(), 17);
      ground.choose(incident.grid?.code);
    }
  } catch (problem) {
    fill(box, h("div", { class: "empty" }, icon("warning"), h("p", { text: problem.message }),
      h("button", { class: "button", type: "button", text: t("common.retry"), on: { click: () => show() } })));
  }
}

await ground.load().catch((problem) => toast(problem.message, "red"));
show();
