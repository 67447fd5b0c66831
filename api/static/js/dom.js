// Elements without HTML strings: text is always text, so nothing a stranger wrote becomes mark-up.
const SVG = "http://www.w3.org/2000/svg";

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element. Props: class, text, dataset, on (event → handler), anything else is an attribute; false and null are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
  return element;
}

export function toast(text, kind = "") {
  let box = $(".toasts");
  if (!box) {
    box = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(box);
  }
  // The same again takes the place of the one before: a pile would only hide the page.
  for (const before of box.children) if (before.textContent === text) before.remove();
  const line = h("div", { class: `toast ${kind}`, text });
  box.append(line);
  setTimeout(() => line.remove(), kind === "red" ? 9000 : 4500);
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shown.flatMap(([label, value]) => [
    h("dt", { text: label }),
    value instanceof Node ? h("dd", {}, value) : h("dd", { text: String(value) }),
  ]));
}

export function debounced(wait_ms, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait_ms);
  };
}

/** Calls that come close together are one: at most one in `wait_ms`, and however many come, one is never far away. */
export function gathered(wait_ms, action) {
  let waiting = false;
  let again = false;
  return async function run() {
    if (waiting) { again = true; return; }
    waiting = true;
    await new Promise((done) => setTimeout(done, wait_ms));
    again = false;
    try {
      await action();
    } finally {
      waiting = false;
      if (again) run();
    }
  };
}
