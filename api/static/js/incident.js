// One incident on a page of its own: the console's panel, wide, beside a map; it follows what happens to it.
import "./page.js";
import { $, gathered, toast } from "./dom.js";
import { Ground } from "./ground.js";
import { mark } from "./marks.js";
import { streetTiles } from "./street_tiles.js";
import { evidenceForm } from "./evidence_form.js";
import { follow } from "./console/live.js";
import { Panel } from "./console/panel.js";
import { loadChoices } from "./console/report.js";

const L = window.L;
const box = $("#story");
const { number } = box.dataset;
const { map } = window.gridward;
const ground = new Ground(map, { streetTiles });
let marker = null;
let shown_at = "";

const panel = new Panel(box, { map, ground, page: true, onClose: () => {}, onChanged: ring,
  onOpen: (other) => location.assign(`/console/incidents/${encodeURIComponent(other)}`),
  extra: (incident, renew) => evidenceForm(number, renew) });

function ring(incident) {
  marker?.remove();
  if (!incident?.location) return;
  const at = L.latLng(incident.location.lat, incident.location.lon);
  marker = L.marker(at, { icon: L.divIcon({ className: "ring", html: mark(incident, 30), iconSize: [30, 30] }), keyboard: false, alt: number }).addTo(map);
  if (shown_at !== at.toString() && incident.queue !== "place_needed") map.setView(at, 17);
  shown_at = at.toString();
  ground.choose(incident.grid?.code);
}

const [, choices] = await Promise.all([
  ground.load({ fit: true }).catch((problem) => toast(problem.message, "red")),
  loadChoices().catch((problem) => toast(problem.message, "red"))]);
panel.categories = choices?.categories || [];
ring(await panel.open(number));
// Many events are one look; what happened while the line was down is seen when it is back.
const again = gathered(300, async () => panel.refresh(number));
let opened = false;
follow((event) => { if (event.number === number) again(); }, () => { if (opened) again(); opened = true; });
