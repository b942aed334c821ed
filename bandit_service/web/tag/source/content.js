// What an element shows: a picture, a headline, a link. Headlines are set as text, never as markup;
// addresses are http or https; nothing around an element moves.

const HEADING = "h1,h2,h3,h4,h5,h6";
const fitted = new WeakMap();
const waysBack = new WeakMap(); // from what an element shows to what the page came with

// The picture, headline and link of an element: an image or a heading itself, or what a card holds.
const partsOf = (element) => {
  if (element.matches("img")) return { picture: element };
  const inside = (selector) => element.querySelector(selector);
  const link = element.matches("a") ? element : inside("a");
  if (element.matches(HEADING)) return { box: element, link };
  const box = inside(HEADING) ?? (element.childElementCount ? null : element);
  return { picture: inside("img"), box, link };
};

const checked = (address) => {
  const link = document.createElement("a");
  link.href = address;
  return address && /^https?:$/.test(link.protocol) && link.href;
};

const loaded = (picture) => picture.complete && picture.naturalWidth > 0;

// What a variant has for an element; undefined if that is nothing.
const planOf = (element, variant) => {
  const { picture, box, link } = partsOf(element);
  const address = picture && checked(variant.image_url);
  const text = box && variant.headline;
  if (address || text) return { element, variant, picture, address, box, text, link };
};

// Shows what was planned, in steps that by turns change the page and measure it. Elements that take
// them together make the browser lay the page out once a step, however many they are.
function* carryOut({ element, variant, picture, address, box, text, link }) {
  const undo = [];
  waysBack.set(element, undo);
  const target = link && checked(variant.target_url);
  if (target) {
    undo.push(remembered(link));
    link.href = target;
  }
  yield;
  if (address) {
    yield* keepBox(picture);
    for (const source of picture.closest("picture")?.querySelectorAll("source") ?? []) {
      undo.push(remembered(source));
      source.srcset = address;
    }
    undo.push(remembered(picture));
    picture.removeAttribute("srcset");
    picture.addEventListener("error", () => broken(element, variant), { once: true });
    picture.src = address;
    if (variant.alt) picture.alt = variant.alt;
    yield;
  }
  if (text) {
    const place = box.querySelector("a") ?? box;
    const before = [...place.childNodes];
    undo.push(() => {
      unfit(box);
      place.replaceChildren(...before);
    });
    yield* fit(box, place, text);
  }
}

const takeBack = (element) => {
  waysBack.get(element)?.forEach((step) => step());
  waysBack.delete(element);
};

// The way back for a picture or a link.
const remembered = (node) => {
  const before = node.cloneNode();
  return () => {
    for (const name of ["src", "srcset", "alt", "href"]) {
      if (before.hasAttribute(name)) node.setAttribute(name, before.getAttribute(name));
      else node.removeAttribute(name);
    }
  };
};

// Fixes the box of a picture; one of other proportions is cropped to it.
function* keepBox(picture) {
  const { width, height } = picture.getBoundingClientRect();
  const { objectFit } = getComputedStyle(picture);
  yield;
  const sized = picture.hasAttribute("width") && picture.hasAttribute("height");
  if (!width || !height || !(sized || loaded(picture))) return;
  if (!picture.hasAttribute("width")) picture.width = Math.round(width);
  if (!picture.hasAttribute("height")) picture.height = Math.round(height);
  picture.style.aspectRatio = `${width} / ${height}`;
  if (objectFit === "fill") picture.style.objectFit = "cover";
}

// Sets a headline into the room that there is: smaller where it must be, then with an ellipsis.
// What that takes is undone when the page changes its width.
function* fit(box, place, text) {
  const room = box.offsetHeight;
  const { height, lineHeight, fontSize } = getComputedStyle(box);
  yield;
  place.textContent = text;
  if (!room) return;
  yield;
  const tooTall = () => box.offsetHeight > room + 1;
  const inner = document.createElement("span");
  const { style } = inner;
  inner.textContent = text;
  style.cssText = "display:-webkit-box;-webkit-box-orient:vertical;overflow:hidden";
  for (let share = 0.95; tooTall() && share > 0.68; share -= 0.05) {
    yield;
    style.fontSize = `${share}em`;
    place.replaceChildren(inner);
    yield;
  }
  const line = tooTall() && (parseFloat(lineHeight) || 1.2 * parseFloat(fontSize));
  yield;
  if (line) style.webkitLineClamp = Math.max(1, Math.floor(room / line));
  const { minHeight } = box.style;
  box.style.minHeight = height;
  fitted.set(box, () => {
    box.style.minHeight = minHeight;
    place.textContent = text;
  });
}

const unfit = (box) => {
  fitted.get(box)?.();
  fitted.delete(box);
};
