// When: as the page is parsed, shown, hidden and restored; and what the page itself may ask for.

const bandit = {
  setVisitor({ id, ...more } = {}) {
    Object.assign(who, more, id === undefined ? {} : { visitor: id && String(id) });
    bandit.refresh();
  },
  refresh: () => slots.forEach((slot) => want(slot)),
  consent(given) {
    consent = true; // for as long as it takes to clear what an earlier one has left
    if (!given) ["localStorage", "sessionStorage"].forEach((storage) => kept(forgetAll, storage));
    consent = Boolean(given);
  },
  event: tell,
  push: (...calls) => calls.forEach(([name, ...words]) => bandit[name](...words)),
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
  if (innerWidth !== breadth) [...fitted.keys()].forEach(unfit);
  breadth = innerWidth;
};

const start = () => {
  const [paint] = performance.getEntriesByType("paint");
  const [{ activationStart = 0 } = {}] = performance.getEntriesByType("navigation");
  const since = paint ? Math.max(paint.startTime, activationStart) : now();
  within(document, (element) => adopt(element, since, !paint));
  observer.observe(document, { childList: true, subtree: true, attributeFilter: [attribute] });
  document.addEventListener("DOMContentLoaded", () => asking && ask());
  for (const type of ["click", "auxclick"]) document.addEventListener(type, click, true);
  document.addEventListener("ended", tellWatched, true);
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
  warn(`the script element has no data-key; ${remedy}`);
} else if (tags.has(attribute)) {
  if (tags.get(attribute) !== said.key) {
    warn(`two tags for ${attribute}; give one of them data-attribute="data-other"`);
  }
} else {
  tags.set(attribute, said.key);
  script.bandit = bandit;
  if (!said.attribute) {
    const early = window.bandit ?? [];
    window.bandit = bandit;
    bandit.push(...early);
  }
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
}
