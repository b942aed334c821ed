// Slots: a placement with the elements that show it. All that wait are asked for at once. What is
// answered in time is shown; else the page keeps its own content, and the service is told so.

const MOST_SLOTS = 50; // of one request
const FRESH = 600000; // ms: older decisions that nobody has seen are asked for again
const slots = new Map();
const owner = new WeakMap(); // the slot of an element
const hidden = new Set();
const unasked = new Set();
let asking;

const now = () => performance.now();

const inView = (element) => {
  const { top, bottom, left, right } = element.getBoundingClientRect();
  return !document.hidden && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
};

const reveal = (element) => {
  if (hidden.delete(element)) element.style.visibility = "";
};

const mark = (element, state) => {
  element.setAttribute(`${attribute}-state`, state);
  reveal(element);
};

const everyElement = (use) => slots.forEach(({ elements }) => elements.forEach(use));

// Takes an element in. One that nobody can have seen yet is hidden, its space kept, until its
// content is there or the deadline has passed.
const adopt = (element, since, unseen) => {
  const placement = element.getAttribute(attribute).trim().replaceAll("/", ".");
  const slot = slots.get(placement) ?? { placement, elements: new Set() };
  if (!placement || slot.elements.has(element)) return;
  release(element);
  const first = !slot.elements.size;
  slots.set(placement, slot);
  slot.elements.add(element);
  owner.set(element, slot);
  look(element);
  if (slot.shown && (!first || now() - slot.since < FRESH)) return showOn(slot, element);
  if (!first && !slot.round) return mark(element, "default");
  if (unseen) {
    hidden.add(element);
    element.style.visibility = "hidden";
    setTimeout(reveal, deadline, element);
  }
  if (first) want(slot, since);
};

const release = (element) => {
  owner.get(element)?.elements.delete(element);
  owner.delete(element);
  overlook(element);
  reveal(element);
};

// Its round names what it waits for; none: nothing. A slot whose elements are gone wants nothing.
const want = (slot, since = now()) => {
  if (!slot.elements.size) return slots.delete(slot.placement);
  Object.assign(slot, { since, round: {}, glimpsed: false });
  unasked.add(slot);
  setTimeout(keepOwn, since + deadline - now(), slot);
  asking ??= setTimeout(ask, document.readyState === "loading" ? deadline / 3 : 0);
};

const keepOwn = (slot) => {
  if (slot.shown) return;
  for (const element of slot.elements) mark(element, "default");
};

// Whether its own content has been seen past the deadline, and so must stay.
const isLate = (slot) =>
  now() > slot.since + deadline && (slot.glimpsed || [...slot.elements].some(inView));

const ask = () => {
  asking = clearTimeout(asking);
  const all = [...unasked];
  unasked.clear();
  while (all.length) {
    const wanted = all.splice(0, MOST_SLOTS);
    askFor(wanted).catch((error) => {
      warn(`${endpoint}: ${error}`);
      wanted.forEach(keepOwn);
    });
  }
};

const askFor = async (wanted) => {
  const rounds = wanted.map(({ round }) => round);
  const answer = await call("decide/page", {
    ...person(),
    context: situation(),
    counts: "seen",
    partial: true,
    slots: wanted.map(({ placement }) => ({ placement })),
  });
  if (!answer?.ok) warn(await explain(answer));
  const { slots: found = [], refused = [] } = (answer?.ok && (await answer.json().catch(note))) || {};
  for (const { message, hint } of refused) warn(`${message}; ${hint}`);
  const taken = wanted.map(async (slot, n) => {
    if (slot.round !== rounds[n]) return; // asked for again since
    const decided = found.find(({ placement }) => placement === slot.placement);
    if (decided) await take(slot, decided);
    else keepOwn(slot);
    if (slot.round === rounds[n]) slot.round = null;
  });
  await Promise.all(taken);
};

const take = async (slot, answer) => {
  const { round } = slot;
  const { variant, decision, logged } = answer;
  const stays = (reason) => {
    note(slot.placement, "keeps its own content:", reason);
    if (logged && slot.elements.size) report(decision, "default_shown");
    keepOwn(slot);
  };
  const spoilt = () => {
    warn(`${slot.placement}: cannot load the picture of ${variant.id}: ${variant.image_url}`);
    stays("no picture");
  };
  const plans = [...slot.elements].map((element) => planOf(element, variant)).filter(Boolean);
  if (!plans.length) return stays("nothing to show");
  if (isLate(slot)) return stays("too late");
  // A picture that is being looked at is replaced by one that is there, or not at all.
  const seen = plans.filter(({ element, address, picture }) =>
    address && loaded(picture) && !hidden.has(element) && inView(element));
  const there = await Promise.all(seen.map(({ address }) => fetched(address)));
  if (slot.round !== round) return;
  if (there.includes(false)) return spoilt();
  if (isLate(slot)) return stays("too late");
  show(slot, answer, spoilt);
};

const fetched = (address) =>
  new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = address;
  });

const show = (slot, answer, spoilt) => {
  const before = { shown: slot.shown, seen: slot.seen, undo: slot.undo };
  const fail = () => {
    if (slot.shown !== answer) return;
    for (const element of slot.elements) slot.undo.get(element)?.();
    Object.assign(slot, before);
    spoilt();
  };
  Object.assign(slot, { shown: answer, seen: false, undo: new WeakMap(), fail });
  for (const element of slot.elements) showOn(slot, element);
  note(slot.placement, "shows", answer.variant.id, answer);
};

const showOn = (slot, element) => {
  const plan = planOf(element, slot.shown.variant);
  if (plan) slot.undo.set(element, carryOut(plan));
  plan?.picture?.addEventListener("error", slot.fail, { once: true });
  mark(element, plan ? "shown" : "default");
  look(element);
  element.dispatchEvent(new CustomEvent("bandit", { bubbles: true, detail: slot.shown }));
};
