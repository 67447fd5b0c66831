// A new password: sent to the server, which ends every other session; the answer is said above the fields.
import { post } from "./api.js";
import { t } from "./messages.js";

const form = document.querySelector("#password-form");
const answer = document.querySelector("#answer");

function say(sentence, colour) {
  answer.className = `note ${colour}`;
  answer.textContent = sentence;
  answer.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { old, new: chosen, again } = Object.fromEntries(new FormData(form));
  if (chosen !== again) {
    say(t("account.passwords_differ"), "red");
    form.elements.again.focus();
    return;
  }
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await post("me/password", { old, new: chosen });
    say(t("account.changed"), "green");
    // The page's own key is another one now.
    setTimeout(() => location.assign("/"), 1200);
  } catch (problem) {
    say(problem.message, "red");
    form.elements.old.focus();
  } finally {
    button.disabled = false;
  }
});
