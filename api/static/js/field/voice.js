// A voice note: recorded on the phone, at most two minutes.
import { h, icon, toast } from "../dom.js";
import { t } from "../messages.js";

const LONGEST_S = 120;
const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export const canRecord = () => Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);

/** A button that starts and ends a recording; `onDone(blob, seconds)`. */
export function recorder(onDone) {
  let recording = null;
  const label = h("span", { text: t("field.voice") });
  const button = h("button", { class: "button big wide", type: "button", dataset: { act: "voice" }, on: { click: toggle } }, icon("speak"), label);

  async function toggle() {
    if (recording) return recording.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      return toast(t("field.voice_denied"), "red");
    }
    const parts = [];
    const began = Date.now();
    recording = new MediaRecorder(stream, { mimeType: KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)), audioBitsPerSecond: 24000 });
    const clock = setInterval(() => {
      const seconds = Math.round((Date.now() - began) / 1000);
      label.textContent = t("field.voice_stop", { s: seconds });
      if (seconds >= LONGEST_S) recording?.stop();
    }, 500);
    recording.addEventListener("dataavailable", (event) => parts.push(event.data));
    recording.addEventListener("stop", () => {
      clearInterval(clock);
      for (const one of stream.getTracks()) one.stop();
      const blob = new Blob(parts, { type: recording.mimeType.split(";")[0] });
      recording = null;
      button.classList.remove("danger");
      label.textContent = t("field.voice");
      onDone(blob, Math.max(1, Math.round((Date.now() - began) / 1000)));
    });
    recording.start();
    button.classList.add("danger");
    label.textContent = t("field.voice_stop", { s: 0 });
  }
  return button;
}
