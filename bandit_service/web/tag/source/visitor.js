// Who visits, as far as the page says so and the visitor agreed; and what the browser keeps.
// Without consent the browser's storage is neither read nor written, and neither visitor nor
// persona nor traits are sent: the situation alone.

let consent = said.consent === "yes";

const who = {
  visitor: said.visitor,
  persona: said.persona,
  traits: parsed("traits"),
  context: parsed("context"),
};

// A browser may refuse storage to a page: then nothing is kept, and all else goes on.
const kept = (use, storage = "localStorage") => {
  try {
    return consent ? use(window[storage]) : undefined;
  } catch (error) {
    note(storage, error);
  }
};

const forgetAll = (storage) => {
  for (const key of Object.keys(storage)) {
    if (/^bandit[.:]/.test(key)) delete storage[key];
  }
};

const ownId = (local) =>
  (local["bandit.visitor"] ??= crypto.getRandomValues(new Uint32Array(4)).join("-"));

const person = () =>
  consent && { visitor: who.visitor || kept(ownId), persona: who.persona, traits: who.traits };

const situation = () => ({
  channel: "web",
  device: innerWidth < 600 ? "mobile" : innerWidth < 1024 ? "tablet" : "desktop",
  hour: new Date().getHours(),
  ...who.context,
});
