// Draws each chart when it comes into view, in the theme of the reader, and in light for paper.
(() => {
  "use strict";
  const PAPER_WIDTH = 660; // CSS pixels that fit on A4 and on Letter within the page's margins
  const NARROW = 520; // CSS pixels below which labels are short and ticks few
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const becomes = JSON.parse(document.getElementById("dark").textContent);
  const boxes = Array.from(document.querySelectorAll("[data-chart]"));
  const drawn = new Set();
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  // Only what stands under a key with "color" in its name is a colour; labels never are.
  const painted = (value, colour) => {
    if (Array.isArray(value)) return value.map((part) => painted(part, colour));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, part]) => [
          key,
          painted(part, /color/.test(key) && key !== "colorbar" && key !== "coloraxis"),
        ]),
      );
    }
    return colour && Object.hasOwn(becomes, value) ? becomes[value] : value;
  };

  const draw = (box, { paper = false } = {}) => {
    const plain = JSON.parse(box.querySelector("script").textContent);
    const figure = dark.matches && !paper ? painted(plain, false) : plain;
    const target = box.querySelector(".drawing");
    if (!paper && box.clientWidth < NARROW) {
      for (const [axis, changes] of Object.entries(figure.narrow)) {
        Object.assign(figure.layout[axis], changes);
      }
    }
    figure.layout.width = paper ? Math.min(PAPER_WIDTH, figure.layout.width || PAPER_WIDTH) : undefined;
    Plotly.react(target, figure.data, figure.layout, config);
    drawn.add(box);
  };

  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && !drawn.has(target)) draw(target);
      }
    },
    { rootMargin: "400px" },
  );
  const unfolded = (box) => box.closest("details:not([open])") === null;

  document.documentElement.classList.add("drawn");
  boxes.forEach((box) => seen.observe(box));
  dark.addEventListener("change", () => drawn.forEach((box) => draw(box)));
  addEventListener("beforeprint", () =>
    boxes.filter(unfolded).forEach((box) => draw(box, { paper: true })),
  );
  addEventListener("afterprint", () => drawn.forEach((box) => draw(box)));
})();
