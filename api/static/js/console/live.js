// The live feed: the browser reconnects with Last-Event-ID by itself; when the server refuses, we try again.
import { $ } from "../dom.js";
import { get } from "../api.js";
import { t } from "../messages.js";

/**
 * `onOpen` at every opening, the first too: what is read from then on misses nothing that the feed has not told.
 * `onIncident(event, since)`: `since` says that it happened since this page follows, and is not sent a second time.
 */
export function follow(onIncident, onOpen = () => {}) {
  const light = $("#live");
  let source = null;
  let wait_ms = 1000;
  let last_id = "";
  let first_id = null; // what came before this page's first stream is no news

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
    source.addEventListener("hello", (event) => {
      last_id ||= event.lastEventId;
      first_id ??= Number(event.lastEventId);
    });
    source.addEventListener("incident", (event) => {
      const told = JSON.parse(event.data);
      last_id = event.lastEventId || last_id;
      onIncident(told, told.id > first_id);
    });
    source.addEventListener("error", () => {
      say("off");
      if (source.readyState !== EventSource.CLOSED) return;
      // A stream that is refused does not say why: a session that has ended is told by any other question.
      get("me").catch((problem) => { if (problem.status === 401) say("out"); });
      setTimeout(open, wait_ms);
      wait_ms = Math.min(wait_ms * 2, 30000);
    });
  }

  say("wait");
  open();
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => event.persisted && open());
}

// What came in rises, what is overdue falls and is longer: told apart without looking.
const CALLS = { fresh: [[0, 660], [0.14, 880]], late: [[0, 784], [0.2, 587], [0.4, 392]] };

/** A short call, made here: no sound file, no other host. */
export function chime(call = "fresh") {
  const audio = new AudioContext();
  const tones = CALLS[call];
  for (const [at, pitch] of tones) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.12, audio.currentTime + at);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + 0.3);
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.32);
    if (at === tones.at(-1)[0]) tone.addEventListener("ended", () => audio.close());
  }
}
