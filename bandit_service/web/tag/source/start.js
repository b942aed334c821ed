// When: as the page is parsed, shown, hidden and restored; and what the page itself may ask for.

const bandit = {
  setVisitor(visitor) {
    const { id = who.visitor, ...more } = visitor ?? {};
    Object.assign(who, more, { visitor: id && String(id) });
    bandit.refresh();
  },
  refresh: () => slots.forEach((slot) => want(slot)),
  consent(given) {
    // What was decided for the visitor by name is not reported of any more.
    if (consent && !given) {
      outbox.clear();
      for (const slot of slots.values()) slot.answer = slot.shown = null;
    }
    consent = true; // for as long as it takes to clear what an earlier one has left
    if (!given) {
      kept(forgetAll);
      kept(forgetAll, "sessionStorage");
    }
    consent = !!given;
  },
  event: tell,
  push: (...calls) =>
    calls.forEach((call) => {
      try {
        const [name, ...words] = call;
        bandit[name](...words);
      } catch (error) {
        warn(`${call}: ${error}`);
      }
    }),
};

const within = (root, use) => {
  if (root.matches?.(`[${attribute}]`)) use(root);
  root.querySelectorAll?.(`[${attribute}]`).forEach(use);
};

const observer = new MutationObserver((changes) => {
  for (const { type, target, addedNodes, removedNodes } of changes) {
    if (type === "attributes") {
      if (target.hasAttribute(attribute)) adopt(target, now(), false);
      else release(target);
    }
    addedNodes.forEach((node) => within(node, (element) => adopt(element, now(), true)));
    removedNodes.forEach((node) => node.isConnected || within(node, release));
  }
});

const resume = () => {
  for (const slot of slots.values()) {
    if (slot.seen) continue;
    if (now() - slot.since > FRESH) want(slot);
    slot.elements.forEach(look);
  }
};

// Phones change the height of a page as it is scrolled; nothing may move for that.
let breadth = innerWidth;
const reflow = () => {
  if (innerWidth !== breadth) everyElement((element) => unfit(partsOf(element).box));
  breadth = innerWidth;
};

const start = () => {
  const [paint] = performance.getEntriesByType("paint");
  const [{ activationStart = 0 } = {}] = performance.getEntriesByType("navigation");
  const since = paint ? Math.max(paint.startTime, activationStart) : now();
  within(document, (element) => adopt(element, since, !paint));
  observer.observe(document, { childList: true, subtree: true, attributeFilter: [attribute] });
  addEventListener("DOMContentLoaded", ask);
  for (const type of ["click", "auxclick"]) addEventListener(type, click, true);
  addEventListener("ended", tellWatched, true);
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  addEventListener("pagehide", () => {
    tellWatched();
    leave();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && resume());
  addEventListener("online", resend);
  addEventListener("resize", reflow);
  resend();
};

const tags = (window.banditTags ??= new Map());

if (!said.key) {
  warn(`no data-key; ${remedy}`);
} else if (tags.has(attribute)) {
  if (tags.get(attribute) !== said.key) {
    warn(`two tags for ${attribute}; give one data-attribute="data-other"`);
  }
} else {
  tags.set(attribute, said.key);
  script.bandit = bandit;
  if (!said.attribute) {
    const early = window.bandit;
    window.bandit = bandit;
    if (Array.isArray(early)) bandit.push(...early);
  }
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
}
