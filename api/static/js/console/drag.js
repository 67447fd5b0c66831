// Giving away by drag: a row or a mark is taken to a person or a grid among those on duty; the reason is asked there.
// Whoever has no mouse marks rows with x and gives them with b.
import { $ } from "../dom.js";
import { get } from "../api.js";

const KIND = "application/x-gridward";

/** What is dragged: the row itself, or all that are marked when it is one of them. */
export function draggable(element, numbers) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    const own = numbers();
    event.dataTransfer.setData(KIND, JSON.stringify(own));
    event.dataTransfer.setData("text/plain", own.join("\n"));
    event.dataTransfer.effectAllowed = "move";
    document.body.classList.add("dragging");
  });
  element.addEventListener("dragend", () => document.body.classList.remove("dragging"));
}

export function useDrag({ list, bulk, openDuty }) {
  const duty = $("#duty");
  // The people come into view by themselves; not within the event, which would end the drag.
  document.addEventListener("dragstart", (event) => {
    if (event.dataTransfer?.types.includes(KIND) && duty.hidden) setTimeout(openDuty, 0);
  });
  const target = (event) => (event.dataTransfer?.types.includes(KIND) ? event.target.closest?.("[data-give]") : null);
  let over = null;
  const mark = (element) => {
    if (over === element) return;
    over?.classList.remove("drop");
    over = element;
    over?.classList.add("drop");
  };
  duty.addEventListener("dragover", (event) => {
    mark(target(event));
    if (over) { event.preventDefault(); event.dataTransfer.dropEffect = "move"; }
  });
  duty.addEventListener("dragleave", (event) => { if (!duty.contains(event.relatedTarget)) mark(null); });
  duty.addEventListener("drop", async (event) => {
    const element = target(event);
    mark(null);
    if (!element) return;
    event.preventDefault();
    const numbers = JSON.parse(event.dataTransfer.getData(KIND));
    const incidents = await Promise.all(numbers.map((number) => list.items.get(number) || get(`incidents/${encodeURIComponent(number)}`).catch(() => null)));
    bulk.give(incidents.filter(Boolean), { give: element.dataset.give, name: element.dataset.giveName });
  });
}
