// What visitors do: an impression is half of an element in view for half a second, or a click there; a
// click is one on the element or on the link that it is in. The page's own content earns no variant a
// click: neither in place of one that cannot be shown, nor while its picture is on its way.

const DWELL = 500; // ms
const dwelling = new WeakMap();

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting, intersectionRatio, intersectionRect } of entries) {
      const slot = owner.get(target) ?? {};
      const half = intersectionRatio >= 0.5 || intersectionRect.height >= innerHeight / 2;
      clearTimeout(dwelling.get(target));
      if (isIntersecting) slot.glimpsed = true;
      if (half && slot.answer && !slot.seen) dwelling.set(target, setTimeout(see, DWELL, slot));
    }
  },
  { threshold: [0, 0.25, 0.5] },
);

const overlook = (element) => {
  sight.unobserve(element);
  clearTimeout(dwelling.get(element));
};

// Looks anew: the observer calls back even where nothing has moved.
const look = (element) => {
  overlook(element);
  sight.observe(element);
};

const see = (slot) => {
  if (!slot.seen && slot.answer?.logged) report(slot.answer.decision, "impression");
  slot.seen = true;
};

const click = ({ target, button }) => {
  for (const slot of slots.values()) {
    const hit = [...slot.elements].find((one) => (one.closest("a,button") ?? one).contains(target));
    if (!hit || button > 1 || !slot.answer?.logged) continue;
    see(slot);
    if (!slot.shown || !waysBack.has(hit) || partsOf(hit).picture?.complete === false) continue;
    report(slot.shown.decision, "click");
    kept((session) => (session[PREFIX + slot.placement] = slot.shown.decision), "sessionStorage");
  }
  leave();
};

// Also of a title that was clicked on the page before.
const tell = (title, type, value, id) => {
  const placement = title.replaceAll("/", ".");
  const { answer, shown } = slots.get(placement) ?? {};
  const decision = answer
    ? shown?.decision
    : kept((session) => session[PREFIX + placement], "sessionStorage");
  if (decision) report(decision, type, value, id);
  else note(type, placement, "has no decision");
  leave();
};

// The share of a video or an audio that was played.
const tellWatched = () => {
  for (const media of document.querySelectorAll(`[${attribute}-watch]`)) {
    let played = 0;
    for (let n = 0; n < media.played.length; n++) played += media.played.end(n) - media.played.start(n);
    const share = Math.min(1, played / media.duration);
    if (share > 0) tell(media.getAttribute(`${attribute}-watch`), "watch", share);
  }
};

const pause = () => {
  everyElement(overlook);
  leave();
};
