// The sign of an incident: colour by lamp, shape by state, the same on the map and in the list.
const SHAPES = {
  circle: '<circle cx="12" cy="12" r="8"/>',
  square: '<rect x="4.5" y="4.5" width="15" height="15" rx="2"/>',
  diamond: '<path d="M12 2.5 21.5 12 12 21.5 2.5 12z"/>',
  triangle: '<path d="M12 3 21.5 20h-19z"/>',
  pause: '<circle cx="12" cy="12" r="9"/><path class="in" d="M9.5 8v8M14.5 8v8"/>',
  tick: '<circle cx="12" cy="12" r="9"/><path class="in" d="m8 12.3 2.8 2.700L16 9.5"/>',
  cross: '<circle cx="12" cy="12" r="9"/><path class="in" d="m9 9 6 6M15 9l-6 6"/>',
};
const SHAPE_OF = {
  reported: "circle", verifying: "circle", accepted: "circle", filed: "circle", dispatched: "square",
  in_disposal: "diamond", disposed: "triangle", checking: "triangle", pending_close: "triangle",
  suspended: "pause", closed: "tick", refused: "cross", declined: "cross", voided: "cross",
  merged: "cross", fixed_on_spot: "tick",
};
// What is badly overdue cries out within its shape, whatever colours the reader tells apart.
const CRY = '<path class="in" d="M12 7.2v5.600M12 15.600v.5"/>';
const BADLY_MS = 24 * 3600 * 1000;
export const ENDED = new Set(["closed", "refused", "declined", "voided", "merged", "fixed_on_spot"]);

/** Colour of the limit: "waiting" while no limit runs yet, "ended" when the incident has ended. */
export const lampOf = (incident) => (ENDED.has(incident.status) ? "ended" : incident.lamp || "waiting");

/** Overdue by more than a day: worked out from a row of the list, told by the server of a mark. */
export function badly(incident) {
  if (typeof incident.worst === "boolean") return incident.worst;
  if (lampOf(incident) !== "red" || !incident.due_at) return false;
  const end = incident.disposed_at ? new Date(incident.disposed_at) : new Date();
  return end - new Date(incident.due_at) > BADLY_MS;
}

const parser = new DOMParser();
const drawn = new Map(); // shape and size → the element that is copied: reading a drawing costs more than a copy

/** An SVG element; every part of it comes from the tables above. */
export function mark(incident, size_px = 22) {
  const shapes = window.gridward?.styles?.shape || SHAPE_OF;
  const worst = badly(incident);
  const name = shapes[incident.status];
  const shape = (SHAPES[name] || SHAPES.circle) + (worst && name !== "pause" ? CRY : "");
  const key = `${size_px} ${shape}`;
  if (!drawn.has(key)) {
    const source = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="${size_px}" height="${size_px}" aria-hidden="true">${shape}</svg>`;
    drawn.set(key, document.importNode(parser.parseFromString(source, "image/svg+xml").documentElement, true));
  }
  const svg = drawn.get(key).cloneNode(true);
  svg.setAttribute("class", `sign lamp-${worst ? "worst" : lampOf(incident)}`);
  return svg;
}
