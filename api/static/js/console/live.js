// The live feed: the browser reconnects with Last-Event-ID by itself; when the server refuses, we try again.
import { $ } from "../dom.js";
import { t } from "../messages.js";

/** `onOpen` at every opening, the first too: what is read from then on misses nothing that the feed has not told. */
export function follow(onIncident, onOpen) {
  const light = $("#live");
  let source = null;
  let wait_ms = 1000;
  let last_id = "";

  function say(state) {
    light.dataset.state = state;
    $(".text", light).textContent = t(`live.${state}`);
  }

  function open() {
    source = new EventSource(`/api/v1/live${last_id ? `?last_event_id=${encodeURIComponent(last_id)}` : ""}`);
    source.addEventListener("open", () => {
      say("on");
      wait_ms = 1000;
      onOpen();
    });
    source.addEventListener("incident", (event) => {
      last_id = event.lastEventId || last_id;
      onIncident(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      say("off");
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait_ms);
      wait_ms = Math.min(wait_ms * 2, 30000);
    });
  }

  say("wait");
  open();
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => event.persisted && open());
}

/** A short two-tone call, made here: no sound file, no other host. */
export function chime() {
  const audio = new AudioContext();
  for (const [at, pitch] of [[0, 660], [0.14, 880]]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.12, audio.currentTime + at);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + 0.3);
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.32);
    if (at) tone.addEventListener("ended", () => audio.close());
  }
}
