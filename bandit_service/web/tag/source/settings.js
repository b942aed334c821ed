// What the page says of its tag: attributes of the tag's own script element.

const script = document.currentScript;
const said = script.dataset;
const attribute = said.attribute || "data-bandit";
const endpoint = new URL(said.endpoint || ".", script.src).href.replace(/\/*$/, "/");
const deadline = said.deadline > 0 ? +said.deadline : 300; // ms

const remedy = `make a key: bandit-service keys create --role site --origin ${location.origin}`;

const warned = new Set();

const warn = (text) => {
  if (!warned.has(text)) console.warn(`bandit: ${text}`);
  warned.add(text);
};

const note = (...words) => {
  if ("debug" in said) console.info("bandit:", ...words);
};

const parsed = (name) => {
  try {
    return JSON.parse(said[name] || "{}");
  } catch {
    warn(`data-${name} is not JSON, so not sent`);
  }
};
