// Numbers that move: every few seconds the pieces of a page that carry `data-live` are asked for
// and put in place where they changed.
//
// Nothing is asked while the page is hidden. A piece that holds the focus, a selection or an opened
// menu is left alone until it is let go, and brought up to date then. Screen readers hear one sentence, at most every
// ANNOUNCE_MS, and only where the page gives one (`data-say`). Failing, it asks less and less often,
// and says so once.

import { inViewersZone } from "./times.js";

const EVERY_MS = 3000;
const SLOWEST_MS = 60000;
const ANNOUNCE_MS = 30000;

export function follow(root) {
  const state = { etag: null, wait: EVERY_MS, timer: 0, said: Date.now(), failing: false };
  const again = () => {
    clearTimeout(state.timer);
    if (!document.hidden) state.timer = setTimeout(() => look(root, state).then(again), state.wait);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(state.timer);
    else look(root, state).then(again);
  });
  again();
}

async function look(root, state) {
  const headers = state.etag ? { "If-None-Match": state.etag } : {};
  let answer;
  try {
    answer = await fetch(root.dataset.liveFrom, { headers, credentials: "same-origin", redirect: "error" });
  } catch {
    return stumble(state, "The numbers stand still: the service does not answer.");
  }
  if (answer.status === 401) return stumble(state, "You were signed out: reload the page to sign in again.", true);
  if (answer.status !== 304 && !answer.ok) return stumble(state, "The numbers stand still: the service does not answer.");
  if (state.failing) say("The numbers move again.");
  state.failing = false;
  state.wait = EVERY_MS;
  if (answer.status === 304) return;
  const whole = replace(root, state, new DOMParser().parseFromString(await answer.text(), "text/html"));
  state.etag = whole ? answer.headers.get("ETag") : null;
}

function stumble(state, words, forGood = false) {
  state.wait = forGood ? 2 ** 30 : Math.min(SLOWEST_MS, state.wait * 2);
  if (!state.failing) say(words, true);
  state.failing = true;
}

// Whether everything that is new was put in place: what was left alone must be sent again.
function replace(root, state, fresh) {
  let sentence = "";
  let whole = true;
  for (const piece of fresh.querySelectorAll("[data-live]")) {
    const old = root.querySelector(`[data-live="${CSS.escape(piece.dataset.live)}"]`);
    if (!old) continue;
    inViewersZone(piece);
    if (old.innerHTML === piece.innerHTML) continue;
    if (busy(old)) {
      whole = false;
      continue;
    }
    old.replaceChildren(...piece.childNodes);
    old.classList.remove("fresh");
    void old.offsetWidth;
    old.classList.add("fresh");
    sentence ||= piece.dataset.say ?? "";
  }
  if (!root.dispatchEvent(new CustomEvent("desk:fresh", { detail: fresh, cancelable: true }))) whole = false;
  if (sentence && Date.now() - state.said > ANNOUNCE_MS) {
    state.said = Date.now();
    say(sentence);
  }
  return whole;
}

function busy(piece) {
  const selection = document.getSelection();
  const chosen = selection && !selection.isCollapsed && piece.contains(selection.anchorNode);
  return piece.contains(document.activeElement) || chosen || piece.querySelector("details[open]") !== null;
}

function say(words, visibly = false) {
  const said = document.getElementById("said");
  said.textContent = words;
  said.classList.toggle("unseen", !visibly);
  said.classList.toggle("note", visibly);
  said.classList.toggle("stuck", visibly);
}
