// Events on their way. Each has an id, so the service counts it once however often it comes: what
// is not known to have arrived is kept (in localStorage, with consent) and sent again.

const MOST = 100; // events kept
const LONGEST = 86400000; // ms that one is kept
const PREFIX = `bandit:${attribute}:`;
const outbox = new Map();
let sending;
let retry = 5000; // ms until the next try

const put = (name, event) => {
  outbox.set(name, event);
  kept((local) => (local[PREFIX + name] = JSON.stringify(event)));
  if (outbox.size > MOST) drop(outbox.keys().next().value);
};

const drop = (name) => {
  outbox.delete(name);
  kept((local) => delete local[PREFIX + name]);
};

// An event of a type counts once for a decision, unless it comes with an id of its own.
const report = (decision, type, value, id = type) => {
  note(type, decision, value ?? "");
  put(`${decision} ${id}`, { decision, type, value, id, at: Date.now() });
  sendSoon(1000);
};

const unsent = () => [...outbox.values()].filter(({ left }) => !left);

const eventsOf = (events) => ({
  events: events.map(({ at, left, ...event }) => ({ ...event, age: Math.max(0, Date.now() - at) / 1000 })),
});

const sendSoon = (delay) => {
  sending ??= setTimeout(send, delay);
};

const send = async () => {
  sending = clearTimeout(sending);
  const events = unsent();
  if (!events.length) return;
  const answer = await call("events", eventsOf(events), true);
  if (answer?.status < 500 && answer.status !== 429) {
    retry = 5000;
    for (const { decision, id } of events) drop(`${decision} ${id}`);
  } else {
    retry = Math.min(2 * retry, 300000);
    sendSoon(retry);
  }
};

// For when the page may be about to go: a beacon outlives it, and never says whether it arrived.
const leave = () => {
  const events = unsent();
  if (!events.length) return;
  const left = navigator.sendBeacon(`${endpoint}v1/events`, bodyOf(eventsOf(events)));
  for (const event of events) event.left = left;
  setTimeout(resend, 30000);
};

const resend = () => {
  for (const name of kept(Object.keys) ?? []) {
    if (name.startsWith(PREFIX)) kept((local) => takeUp(name.slice(PREFIX.length), local[name]));
  }
  for (const event of outbox.values()) event.left = false;
  sending = clearTimeout(sending); // what was put off is due, too
  sendSoon(0);
};

const takeUp = (name, text) => {
  drop(name);
  const event = JSON.parse(text);
  if (Date.now() - event.at < LONGEST) put(name, event);
};
