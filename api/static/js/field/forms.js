// Small forms of the phone: canned answers to tap, a note, photographs. One shape for all of them.
import { h, icon, toast } from "../dom.js";
import { t, word } from "../messages.js";
import { shrink } from "../photos.js";

/** A photograph from the camera, made small; null when none was taken. */
export function takePhoto(holder, stage) {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", accept: "image/*", capture: "environment", class: "sr", "aria-hidden": "true", tabindex: "-1", dataset: { camera: stage },
      on: { change: async () => {
        const [file] = input.files;
        input.remove();
        if (!file) return resolve(null);
        try {
          resolve(await shrink(file));
        } catch {
          toast(t("field.photo_failed"), "red");
          resolve(null);
        }
      }, cancel: () => { input.remove(); resolve(null); } } });
    holder.append(input);
    input.click();
  });
}

/** A button that takes photographs and shows them; `shots` fills. Each may be taken away again. */
export function photoRow(stage, label, shots, onChange) {
  const pictures = h("ul", { class: "photos" });
  const holder = h("div", { class: "stack" });
  const button = h("button", { class: "button big wide", type: "button", dataset: { take: stage }, on: { click: async () => {
    const photo = await takePhoto(holder, stage);
    if (!photo) return;
    const shot = { stage, photo };
    shots.push(shot);
    const line = h("li", {}, h("img", { src: URL.createObjectURL(photo), alt: word("stage", stage) }),
      h("span", { class: "row small muted" }, h("span", { class: "grow", text: t("field.photo_small", { kb: Math.round(photo.size / 1024) }) }),
        h("button", { class: "button quiet drop", type: "button", "aria-label": t("field.photo_drop"), on: { click: () => { shots.splice(shots.indexOf(shot), 1); line.remove(); onChange(); } } }, icon("close"))));
    pictures.append(line);
    onChange();
  } } }, icon("camera"), label);
  holder.append(button, pictures);
  return holder;
}

const canned = (key) => key.words ? [key.words] : t(key).split(/[;；]/).map((one) => one.trim()).filter((one) => one && !one.startsWith("field."));

/**
 * One form. `choices` are keys of canned sentences, or {words} of the bureau's own; `needs`: "words" (a sentence or a note), "photo", "pick" or "".
 * `pick` is [label, [[value, text]…]]. `send({words, shots, picked})`.
 */
export function form({ name, title, choices = [], note = t("field.note"), needs = "", photo = null, photoLabel = t("field.finish_photo"), pick = null, hint = null, button, kind = "main", sign = "check", send }) {
  const shots = [];
  const area = h("textarea", { id: `${name}-note`, rows: "2", maxlength: "1000" });
  const select = pick && h("select", { id: `${name}-pick` }, h("option", { value: "" }, t("field.choose")), pick[1].map(([value, text]) => h("option", { value }, text)));
  const go = h("button", { class: `button ${kind} big wide`, type: "button", disabled: true, dataset: { send: name } }, icon(sign), button);
  const chosen = () => box.querySelector("input:checked")?.value || "";
  const words = () => [chosen(), area.value.trim()].filter(Boolean).join("：").slice(0, 1000);
  const ready = () => {
    go.disabled = (needs.includes("words") && !words()) || (needs.includes("photo") && !shots.length) || (needs.includes("pick") && !select.value);
  };
  const box = h("fieldset", { class: "plain stack card", dataset: { form: name }, on: { input: ready } },
    h("legend", { class: "label", text: title }),
    photo && photoRow(photo, photoLabel, shots, ready),
    pick && h("div", {}, h("label", { for: select.id, text: pick[0] }), select),
    [...new Set(choices.flatMap(canned))].map((text) => h("label", { class: "choice" }, h("input", { type: "radio", name, value: text }), text)),
    h("div", {}, h("label", { for: area.id, text: note }), area),
    hint && h("p", { class: "muted small", text: hint }), go);
  go.addEventListener("click", async () => { go.disabled = true; await send({ words: words(), shots, picked: select?.value || "" }); });
  ready();
  return box;
}
