// A photo, video clip or document added to an incident; the server says what it takes and how large.
import { upload } from "./api.js";
import { h, toast } from "./dom.js";
import { t, word } from "./messages.js";

const STAGES = ["before", "during", "after"];

export function evidenceForm(number, onDone) {
  return h("form", { class: "stack evidence-form", autocomplete: "off", on: { submit: async (event) => {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await upload(`incidents/${encodeURIComponent(number)}/evidence`, new FormData(form));
      form.reset();
      await onDone(t("incident.file_added"));
    } catch (problem) {
      toast(problem.message, "red");
    }
    button.disabled = false;
  } } },
    h("h2", { text: t("incident.add_file") }),
    h("div", { class: "row" },
      h("label", { class: "sr", for: "file-stage", text: t("incident.file_stage") }),
      h("select", { id: "file-stage", name: "stage" }, STAGES.map((stage) => h("option", { value: stage, text: word("stage", stage) }))),
      h("input", { type: "file", name: "photo", required: true, "aria-label": t("incident.add_file"),
        accept: "image/jpeg,image/png,image/webp,video/mp4,video/webm,video/3gpp,video/quicktime,audio/*,application/pdf" }),
      h("button", { class: "button", text: t("common.save") })));
}
