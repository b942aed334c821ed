// What an element shows: a picture, a headline, a link. Headlines are set as text, never as markup;
// addresses are http or https; nothing around an element moves.

const HEADING = "h1,h2,h3,h4,h5,h6";
const fitted = new WeakMap();

// The picture, headline and link of an element: an image or a heading itself, or what a card holds.
const partsOf = (element) => {
  if (element.matches("img")) return { picture: element };
  const inside = (selector) => element.querySelector(selector);
  const link = element.matches("a") ? element : inside("a");
  if (element.matches(HEADING)) return { box: element, link };
  const box = inside(`[${attribute}-headline],${HEADING}`) ?? (element.childElementCount ? null : element);
  return { picture: inside("img"), box, link };
};

const checked = (address) => {
  try {
    const { protocol, href } = new URL(address, document.baseURI);
    return /^https?:$/.test(protocol) && address ? href : null;
  } catch {
    return null;
  }
};

const loaded = (picture) => picture.complete && picture.naturalWidth > 0;

// Fixes the box of a picture; one of other proportions is cropped to it.
const keepBox = (picture) => {
  const { width, height } = picture.getBoundingClientRect();
  const sized = picture.hasAttribute("width") && picture.hasAttribute("height");
  if (!width || !height || !(sized || loaded(picture))) return;
  if (!picture.hasAttribute("width")) picture.width = Math.round(width);
  if (!picture.hasAttribute("height")) picture.height = Math.round(height);
  picture.style.aspectRatio = `${width} / ${height}`;
  if (getComputedStyle(picture).objectFit === "fill") picture.style.objectFit = "cover";
};

// Sets a headline into the room that there is: smaller where it must be, then with an ellipsis.
// What that takes is undone when the page changes its width.
const fit = (box, place, text) => {
  const room = box.offsetHeight;
  const { height, lineHeight, fontSize } = getComputedStyle(box);
  unfit(box);
  place.textContent = text;
  if (!room) return;
  const { minHeight } = box.style;
  const tooTall = () => box.offsetHeight > room + 1;
  if (tooTall()) {
    const inner = document.createElement("span");
    const { style } = inner;
    inner.textContent = text;
    place.replaceChildren(inner);
    Object.assign(style, { display: "-webkit-box", webkitBoxOrient: "vertical", overflow: "hidden" });
    for (let share = 0.95; tooTall() && share > 0.68; share -= 0.05) style.fontSize = `${share}em`;
    const line = parseFloat(lineHeight) || 1.2 * parseFloat(fontSize);
    if (tooTall()) style.webkitLineClamp = Math.max(1, Math.floor(room / line));
  }
  box.style.minHeight = height;
  fitted.set(box, () => {
    box.style.minHeight = minHeight;
    place.textContent = text;
  });
};

const unfit = (box) => {
  fitted.get(box)?.();
  fitted.delete(box);
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

// What a variant has for an element; undefined if that is nothing.
const planOf = (element, variant) => {
  const { picture, box, link } = partsOf(element);
  const address = picture && checked(variant.image_url);
  const text = box && variant.headline;
  const { alt, target_url: target } = variant;
  if (address || text) return { element, picture, address, alt, box, text, link, target: checked(target) };
};

// Shows it; gives the way back.
const carryOut = ({ picture, address, alt, box, text, link, target }) => {
  const undo = [];
  if (address) {
    undo.push(remembered(picture));
    keepBox(picture);
    for (const source of picture.closest("picture")?.querySelectorAll("source") ?? []) {
      undo.push(remembered(source));
      source.srcset = address;
    }
    picture.removeAttribute("srcset");
    picture.src = address;
    if (alt) picture.alt = alt;
  }
  if (text) {
    const place = box.querySelector("a") ?? box;
    const before = [...place.childNodes];
    undo.push(() => place.replaceChildren(...before));
    fit(box, place, text);
  }
  if (link && target) {
    undo.push(remembered(link));
    link.href = target;
  }
  return () => undo.forEach((step) => step());
};
