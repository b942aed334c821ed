// Slots: a placement with the elements that show it. All that wait are asked for at once. What is
// answered in time is shown; else the page keeps its own content, and the service is told so. A slot's
// `answer` is the one in force, `shown` the one that its elements show: none if they show the page's own.

const MOST_SLOTS = 50; // of one request
const FRESH = 600000; // ms: older decisions that nobody has seen are asked for again
const slots = new Map();
const owner = new WeakMap(); // the slot of an element
const hidden = new Set();
const unasked = new Set();
const waiting = new Map(); // elements to be shown together, with their slots
let asking;

const now = () => performance.now();

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
  const known = !first || (slot.answer && now() - slot.since < FRESH);
  if (known && slot.shown) return showOn(slot, element);
  if (known && !slot.round) return mark(element, "default");
  if (unseen) {
    hidden.add(element);
    element.style.visibility = "hidden";
    setTimeout(reveal, deadline, element);
  }
  if (!known) want(slot, since);
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
  slot.since = since;
  slot.round = {};
  slot.glimpsed = false;
  slot.elements.forEach(look);
  unasked.add(slot);
  setTimeout(keepOwn, since + deadline - now(), slot);
  asking ??= setTimeout(ask, document.readyState === "loading" ? deadline / 3 : 0);
};

const keepOwn = (slot) => {
  if (slot.shown) return;
  for (const element of slot.elements) mark(element, "default");
};

// Whether its own content has been seen past the deadline, and so must stay.
const isLate = (slot) => slot.glimpsed && now() > slot.since + deadline;

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

// An answer in time is in force, and counts as seen once the slot is, whether its variant can be shown
// or not: one with a heavy or a broken picture would else be judged by those who got to see it.
const take = async (slot, answer) => {
  if (!slot.elements.size) return;
  if (isLate(slot)) {
    if (answer.logged) report(answer.decision, "default_shown");
    return keepOwn(slot);
  }
  slot.answer = answer;
  slot.seen = false;
  slot.elements.forEach(look);
  const plans = [...slot.elements].map((element) => planOf(element, answer.variant)).filter(Boolean);
  if (!plans.length) return fail(slot, "nothing for this element");
  // A picture that is there is replaced by one that is there, too, or not at all.
  const fetches = plans.filter(({ address, picture }) => address && loaded(picture)).map(fetched);
  const there = await Promise.all(fetches).catch(() => false);
  if (slot.answer !== answer) return;
  if (!there) return fail(slot, "a broken picture");
  if (there.length && isLate(slot)) return fail(slot, "a late picture");
  slot.shown = answer;
  for (const element of slot.elements) showOn(slot, element);
  note(slot.placement, "shows", answer.variant.id, answer);
};

const fetched = ({ address }) =>
  new Promise((onload, onerror) => Object.assign(new Image(), { onload, onerror, src: address }));

const fail = (slot, reason) => {
  const { id, image_url: address } = slot.answer.variant;
  warn(`${slot.placement}: ${id} has ${reason}: ${address}`);
  slot.shown = null;
  slot.elements.forEach(takeBack);
  keepOwn(slot);
};

const showOn = (slot, element) => {
  if (!waiting.size) queueMicrotask(showAll);
  waiting.set(element, slot);
};

const showAll = () => {
  const all = [...waiting].filter(([element, slot]) => slot.shown && slot.elements.has(element));
  waiting.clear();
  for (const [element] of all) takeBack(element);
  const plans = all.map(([element, slot]) => planOf(element, slot.shown.variant));
  let unfinished = plans.filter(Boolean).map(carryOut);
  while (unfinished.length) unfinished = unfinished.filter((one) => !one.next().done);
  all.forEach(([element, { shown }], n) => {
    mark(element, plans[n] ? "shown" : "default");
    element.dispatchEvent(new CustomEvent("bandit", { bubbles: true, detail: shown }));
  });
};

const broken = (element, variant) => {
  const slot = owner.get(element);
  if (slot?.shown?.variant === variant) fail(slot, "a broken picture");
};
