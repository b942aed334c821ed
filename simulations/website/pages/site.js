// The demo's own script: who the visitor plays, why it sees what it sees, and a pretended player.

window.bandit ||= [];

// Each person whom the visitor plays is a visitor of its own to the service.
const played = sessionStorage.played ??= Math.random().toString(36).slice(2);
const people = [...document.querySelectorAll("[name=person]")];

const be = (person) => {
  const genres = person.dataset.genres.split(" ").filter(Boolean);
  sessionStorage.person = person.value;
  window.bandit.push(["setVisitor", { id: `${person.value}-${played}`, traits: { genres } }]);
};

for (const person of people) person.addEventListener("change", () => be(person));
const chosen = people.find(({ value }) => value === sessionStorage.person) ?? people[0];
chosen.checked = true;
be(chosen);

const why = document.querySelector("#why");
const tell = () => {
  document.body.classList.toggle("told", why.checked);
  sessionStorage.why = why.checked ? "yes" : "";
};
why.checked = Boolean(sessionStorage.why);
why.addEventListener("change", tell);
tell();

const REASONS = {
  learned: "earned most so far",
  explored: "to learn more of it",
  sticky: "as before",
  holdout: "by pure chance, to compare with",
  only: "there is no other",
  fallback: "nothing is learned yet",
  canonical: "what crawlers get",
};

document.addEventListener("bandit", ({ target, detail }) => {
  const place = target.closest("li");
  if (!place) return;
  const note = place.querySelector(".reason") ?? document.createElement("p");
  const share = (100 * detail.probability).toFixed(0);
  const reason = REASONS[detail.reason] ?? detail.reason;
  note.className = "reason";
  note.textContent = `${detail.variant.id}: ${reason} (${share} % for "${detail.persona}")`;
  place.append(note);
});

// A pretended player: ten seconds of a film that was never made.
const play = document.querySelector("#play");
const watched = document.querySelector("#watched");
play?.addEventListener("click", () => {
  play.disabled = true;
  const timer = setInterval(() => {
    watched.value += 0.02;
    if (watched.value < 1) return;
    clearInterval(timer);
    window.bandit.event(play.dataset.title, "watch", 1);
  }, 200);
});
addEventListener("pagehide", () => {
  if (watched?.value > 0 && watched.value < 1) window.bandit.event(play.dataset.title, "watch", watched.value);
});

const like = document.querySelector("#like");
like?.addEventListener("click", () => {
  like.disabled = true;
  window.bandit.event(like.dataset.title, "like");
});
