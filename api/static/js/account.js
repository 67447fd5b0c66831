// One's own account: a new password, how one wants to be told, and tokens for programs.
import { $, fill, h } from "./dom.js";
import { call, get, post } from "./api.js";
import { t } from "./messages.js";

function say(answer, sentence, colour) {
  answer.className = `note ${colour}`;
  answer.textContent = sentence;
  answer.hidden = false;
}

/** Sends a form: its button rests meanwhile, a refusal is said above its fields. */
function sending(form, answer, send) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $("button:not([type=button])", form);
    button.disabled = true;
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (problem) {
      say(answer, problem.message, "red");
      $("input:not([type=hidden])", form)?.focus();
    } finally {
      button.disabled = false;
    }
  });
}

const password = $("#password-form");
sending(password, $("#answer"), async ({ old, new: chosen, again }) => {
  if (chosen !== again) {
    say($("#answer"), t("account.passwords_differ"), "red");
    password.elements.again.focus();
    return;
  }
  await post("me/password", { old, new: chosen });
  say($("#answer"), t("account.changed"), "green");
  // The page's own key is another one now.
  setTimeout(() => location.assign("/"), 1200);
});

const wishes = $("#wishes-form");
if (wishes) {
  const { language, quiet, from, to } = wishes.elements;
  const hours = () => { $("#wish-hours").hidden = quiet.value !== "own"; };
  quiet.addEventListener("change", hours);
  sending(wishes, $("[data-answer]", wishes), async () => {
    const quiet_hours = { town: null, none: "", own: `${from.value}-${to.value}` }[quiet.value];
    await call("PUT", "me/notice-wishes", { language: language.value || null, quiet_hours });
    say($("[data-answer]", wishes), t("account.wish_kept"), "green");
  });
  get("me/notice-wishes").then((kept) => {
    language.value = kept.language || "";
    quiet.value = kept.quiet_hours === null ? "town" : kept.quiet_hours === "" ? "none" : "own";
    if (quiet.value === "own") [from.value, to.value] = kept.quiet_hours.split("-");
    quiet.options[0].textContent = `${t("account.wish_town")} (${kept.town_quiet_hours || t("account.wish_none")})`;
    hours();
  }, (problem) => say($("[data-answer]", wishes), problem.message, "red"));
}

const tokens = $("#token-form");
const day = (text) => new Date(text).toLocaleDateString(document.documentElement.lang);

async function showTokens() {
  const kept = await get("me/tokens");
  fill($("#token-list"), kept.length ? kept.map((token) => h("li", { class: "row", dataset: { token: token.id } },
    h("span", { class: "grow" }, h("b", { class: "block long", text: token.name }),
      h("span", { class: "muted small", text: `${token.scopes?.join(", ") || t("account.token_may_all")} · ${t("account.token_until", { at: day(token.expires_at) })}` })),
    h("button", { class: "button danger", type: "button", "aria-label": t("account.token_end", { name: token.name }), on: { click: () => endToken(token) } }, t("account.token_end_short"))))
    : h("li", { class: "muted", text: t("account.tokens_none") }));
}

async function endToken(token) {
  try {
    await call("DELETE", `me/tokens/${encodeURIComponent(token.id)}`);
    await showTokens();
  } catch (problem) {
    say($("[data-answer]", tokens), problem.message, "red");
  }
}

sending(tokens, tokens && $("[data-answer]", tokens), async ({ name, may, days }) => {
  const made = await post("me/tokens", { name, scopes: may ? may.split(" ") : null, days: Number(days) });
  tokens.reset();
  await showTokens();
  const answer = $("[data-answer]", tokens);
  say(answer, "", "green");
  fill(answer, h("span", {}, t("account.token_made"), " ", h("code", { class: "long", dataset: { secret: "" }, text: made.access_token })));
});
if (tokens) showTokens().catch((problem) => say($("[data-answer]", tokens), problem.message, "red"));
