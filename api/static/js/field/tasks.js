// My tasks as cards, and one task in full with what may be done.
import { fill, h, icon, toast } from "../dom.js";
import { named, t, word } from "../messages.js";
import { mark } from "../marks.js";
import { left, moment } from "../times.js";
import { shrink } from "../photos.js";

const STATE_AFTER = { accept_task: "accepted", arrive: "arrived", finish_task: "done", return_task: "returned" };

/** The task as it will stand when the outbox is empty. */
export function withOutbox(task, items) {
  const own = items.filter((item) => item.number === task.incident.number);
  let status = task.status;
  for (const item of own) if (item.kind === "move" && STATE_AFTER[item.move]) status = STATE_AFTER[item.move];
  return { ...task, status, unsent: own.length, stuck: own.some((item) => item.state === "conflict" || item.state === "refused") };
}

export function metresApart(a, b) {
  const rad = Math.PI / 180;
  const x = (b.lon - a.lon) * rad * Math.cos(((a.lat + b.lat) / 2) * rad);
  const y = (b.lat - a.lat) * rad;
  return Math.hypot(x, y) * 6371008.8;
}

export function away(task, me) {
  if (!me || !task.incident.location) return "";
  const m = metresApart(me, task.incident.location);
  return m < 1000 ? t("field.away", { m: Math.round(m / 10) * 10 }) : t("field.away_km", { km: (m / 1000).toFixed(1) });
}

export function card(task, me, onOpen) {
  const { incident } = task;
  const done = task.status === "done" || task.status === "returned";
  const time = done ? "" : left(task.due_at || incident.due_at);
  return h("li", {}, h("button", { class: `task ${done ? "over" : ""}`, type: "button", dataset: { number: incident.number }, on: { click: () => onOpen(task) } },
    mark({ ...incident, lamp: task.lamp || incident.lamp }, 30),
    h("span", { class: "grow" },
      h("span", { class: "row" }, h("b", { class: "grow", text: named(incident.category) || t("incident.no_category") }),
        time && h("span", { class: `chip big ${task.lamp || "green"}`, text: time })),
      h("span", { class: "block two-lines", text: incident.description || incident.address || "" }),
      h("span", { class: "block muted", text: [incident.segment?.street || incident.address, away(task, me)].filter(Boolean).join(" · ") }),
      h("span", { class: "row wrap" },
        h("span", { class: `chip ${done ? "green" : "accent"}`, text: word("task_status", task.status) }),
        task.unsent > 0 && h("span", { class: `chip ${task.stuck ? "red" : "amber"}`, text: t("field.unsent", { n: task.unsent }) })))));
}

/** The sheet of one task. `act(moves)` writes into the outbox. */
export function sheet(box, task, { me, act, onClose, onMap }) {
  const { incident } = task;
  const number = incident.number;
  const version = incident.version;
  const may = new Set(incident.moves || []);
  const open = task.status !== "done" && task.status !== "returned";
  const said = h("div", { class: "stack" });
  const moveItem = (move, note) => ({ kind: "move", number, move, note: note || null, version });
  const place = me ? { lon: me.lon, lat: me.lat } : {};

  async function photo(stage) {
    return new Promise((resolve) => {
      const input = h("input", { type: "file", accept: "image/*", capture: "environment", class: "sr", dataset: { camera: stage },
        on: { change: async () => {
          const [file] = input.files;
          input.remove();
          if (!file) return resolve(null);
          try {
            resolve({ kind: "photo", number, stage, photo: await shrink(file), ...place });
          } catch {
            toast(t("field.photo_failed"), "red");
            resolve(null);
          }
        }, cancel: () => { input.remove(); resolve(null); } } });
      box.append(input);
      input.click();
    });
  }

  async function before() {
    const shot = await photo("before");
    if (shot) await act([shot]);
  }

  function finish() {
    const shots = [];
    const note = h("textarea", { id: "finish-note", rows: "2" });
    const pictures = h("ul", { class: "photos" });
    const send = h("button", { class: "button main big wide", type: "button", disabled: true, dataset: { send: "finish" },
      on: { click: async () => { send.disabled = true; await act([...shots, moveItem("finish_task", note.value.trim())]); onClose(); } } }, icon("check"), t("field.finish"));
    const take = h("button", { class: "button big wide", type: "button", dataset: { take: "after" }, on: { click: async () => {
      const shot = await photo("after");
      if (!shot) return;
      shots.push(shot);
      pictures.append(h("li", {}, h("img", { src: URL.createObjectURL(shot.photo), alt: word("stage", "after") }),
        h("span", { class: "small muted", text: t("field.photo_small", { kb: Math.round(shot.photo.size / 1024) }) })));
      send.disabled = false;
    } } }, icon("camera"), t("field.finish_photo"));
    fill(said, h("div", { class: "stack card" }, take, pictures,
      h("div", {}, h("label", { for: "finish-note", text: t("field.note") }), note),
      h("p", { class: "muted small", text: t("field.photo_needed") }), send));
    take.focus();
    said.scrollIntoView({ block: "end", behavior: "smooth" });
  }

  function giveBack() {
    const reasons = t("field.return_reasons").split(/[;；]/);
    const note = h("textarea", { id: "return-note", rows: "2" });
    const send = h("button", { class: "button danger big wide", type: "button", disabled: true, dataset: { send: "return" }, on: { click: async () => {
      const chosen = said.querySelector("input:checked")?.value || "";
      send.disabled = true;
      await act([moveItem("return_task", [chosen, note.value.trim()].filter(Boolean).join("：").slice(0, 1000))]);
      onClose();
    } } }, icon("return"), t("field.return_send"));
    fill(said, h("fieldset", { class: "plain stack card", on: { input: () => { send.disabled = !said.querySelector("input:checked") && !note.value.trim(); } } },
      h("legend", { class: "label", text: t("field.return_why") }),
      reasons.map((reason) => h("label", { class: "choice" }, h("input", { type: "radio", name: "why", value: reason }), reason)),
      h("div", {}, h("label", { for: "return-note", text: t("field.note") }), note), send));
    said.scrollIntoView({ block: "end", behavior: "smooth" });
  }

  const can = (move) => open && (may.has(move) || task.unsent > 0);
  const buttons = [
    can("accept_task") && task.status === "offered" && h("button", { class: "button main big wide", type: "button", dataset: { act: "accept" },
      on: { click: async () => { await act([moveItem("accept_task")]); } } }, icon("check"), t("field.accept")),
    can("arrive") && task.status === "accepted" && h("button", { class: "button main big wide", type: "button", dataset: { act: "arrive" },
      on: { click: async () => { await act([moveItem("arrive")]); } } }, icon("target"), t("field.arrive")),
    can("finish_task") && task.status !== "offered" && h("button", { class: `button big wide ${task.status === "arrived" ? "main" : ""}`, type: "button", dataset: { act: "finish" },
      on: { click: finish } }, icon("camera"), t("field.finish")),
    open && task.status !== "offered" && h("button", { class: "button big wide", type: "button", dataset: { act: "before" }, on: { click: before } }, icon("camera"), t("field.before_photo")),
    can("return_task") && h("button", { class: "button big wide", type: "button", dataset: { act: "return" }, on: { click: giveBack } }, icon("return"), t("field.return")),
  ].filter(Boolean);

  const at = incident.location;
  fill(box,
    h("header", { class: "sheet-head" },
      h("button", { class: "button quiet big", type: "button", "aria-label": t("common.back"), dataset: { close: "" }, on: { click: onClose } }, icon("back")),
      h("span", { class: "number grow", text: number }),
      h("span", { class: "chip accent", text: word("task_status", task.status) })),
    h("div", { class: "sheet-body stack" },
      h("h1", { class: "row" }, mark({ ...incident, lamp: task.lamp || incident.lamp }, 28), named(incident.category) || t("incident.no_category")),
      h("p", { class: "said", text: incident.description || "" }),
      h("p", { class: "row wrap" },
        task.due_at && open && h("span", { class: `chip big ${task.lamp || "green"}`, text: left(task.due_at) }),
        task.due_at && h("span", { class: "muted", text: t("task.due", { at: moment(task.due_at) }) })),
      h("p", { class: "row" }, icon("pin"), h("span", { class: "grow", text: [incident.address, incident.segment?.street, incident.side && word("side", incident.side)].filter(Boolean).join(" · ") }), h("span", { class: "muted", text: away(task, me) })),
      at && h("div", { class: "two" },
        h("button", { class: "button big", type: "button", on: { click: () => onMap(task) } }, icon("map"), t("field.show_on_map")),
        h("a", { class: "button big", href: `geo:${at.lat},${at.lon}?q=${at.lat},${at.lon}` }, icon("way"), t("field.go"))),
      h("div", { class: "stack" }, buttons), said,
      incident.evidence?.length > 0 && h("ul", { class: "photos" }, incident.evidence.map((photo_) => h("li", {},
        h("a", { href: photo_.url }, h("img", { src: photo_.thumbnail_url, alt: word("stage", photo_.stage), loading: "lazy" })), h("span", { class: "small", text: word("stage", photo_.stage) })))),
      incident.reason && h("details", { class: "card" }, h("summary", { text: t("field.why") }), h("p", { text: incident.reason }))));
}
