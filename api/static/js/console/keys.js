// The console from the keyboard: the keys that the help lists.
import { $ } from "../dom.js";

const typing = (element) => element?.closest("input, textarea, select, [contenteditable]");

export function useKeys({ list, openReport, openDuty, close }) {
  const help = $("#keys");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !help.open) { close(); document.activeElement?.blur(); return; }
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const actions = {
      "/": () => $("#search input").focus(),
      n: openReport,
      j: () => list.move(1),
      k: () => list.move(-1),
      x: () => { if (list.chosen || document.activeElement?.dataset.number) list.tick(document.activeElement?.dataset.number || list.chosen); },
      b: () => document.querySelector("#bulk:not([hidden]) [data-bulk]")?.focus(),
      d: openDuty,
      f: () => $("#filters [name=q]").focus(),
      m: () => window.gridward.map.getContainer().focus(),
      "?": () => help.showModal(),
    };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  });
  $("[data-keys]").addEventListener("click", () => help.showModal());
}
