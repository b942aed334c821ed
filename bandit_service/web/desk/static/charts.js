// Draws the figures that stand in a page as JSON, with plotly, in the colours of the theme.
//
// A colour "@name" is the style sheet's token --name. Charts are drawn again when the theme changes,
// for paper, and when fresh numbers come; a chart under the pointer waits until that has left.

const AXIS = { automargin: true, gridcolor: "@line", linecolor: "@line", zerolinecolor: "@line", fixedrange: true, tickcolor: "@line" };
const LOOK = {
  autosize: true, showlegend: false, dragmode: false, hovermode: "closest",
  margin: { l: 8, r: 16, t: 12, b: 40 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: "system-ui, sans-serif", size: 13, color: "@ink" },
  hoverlabel: { align: "left", bgcolor: "@card", bordercolor: "@edge", font: { color: "@ink" } },
};
const NARROW = 500;
const OPTIONS = { displayModeBar: false, responsive: true };

let loading;

export function drawAll(root) {
  for (const chart of root.querySelectorAll("[data-chart]")) draw(chart, figureOf(chart));
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => redraw(root));
  }
  document.addEventListener("desk:fresh", (event) => refresh(root, event.detail) || event.preventDefault(), true);
}

function redraw(root) {
  for (const chart of root.querySelectorAll("[data-chart]")) draw(chart, figureOf(chart));
}

// Whether every chart shows what is new.
function refresh(root, fresh) {
  let whole = true;
  for (const piece of fresh.querySelectorAll("[data-chart]")) {
    const chart = root.querySelector(`[data-chart="${CSS.escape(piece.dataset.chart)}"]`);
    const text = piece.querySelector("script").textContent;
    const held = chart?.querySelector("script");
    if (!held || held.textContent === text) continue;
    if (chart.matches(":hover")) {
      whole = false;
      continue;
    }
    held.textContent = text;
    draw(chart, figureOf(chart));
  }
  return whole;
}

function figureOf(chart) {
  return JSON.parse(chart.querySelector("script").textContent);
}

async function draw(chart, figure) {
  const Plotly = await plotly();
  const tokens = getComputedStyle(document.documentElement);
  const paint = (value) => {
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part)]));
    return typeof value === "string" && value.startsWith("@") ? tokens.getPropertyValue(`--${value.slice(1)}`).trim() : value;
  };
  const data = figure.data.map(({ xms, ...trace }) => (xms ? { ...trace, x: xms.map(localTime) } : trace));
  const layout = { ...LOOK, ...figure.layout, xaxis: { ...AXIS, ...figure.layout.xaxis }, yaxis: { ...AXIS, ...figure.layout.yaxis } };
  const place = chart.querySelector(".drawing");
  if (place.clientWidth < NARROW) layout.xaxis = { ...layout.xaxis, nticks: 4, tickangle: 0 };
  if (layout.legend) layout.showlegend = true;
  if (layout.marks) mark(layout);
  await Plotly.react(place, paint(data), paint(layout), OPTIONS);
  chart.classList.add("drawn");
}

// A line across the chart at a time, with what began then.
function mark(layout) {
  layout.shapes = layout.marks.map(({ xms }) => ({ type: "line", x0: localTime(xms), x1: localTime(xms), y0: 0, y1: 1, yref: "paper", line: { color: "@edge", width: 1.5, dash: "dash" } }));
  layout.annotations = layout.marks.map(({ xms, text }) => ({ x: localTime(xms), y: 1, yref: "paper", yanchor: "bottom", showarrow: false, text, font: { color: "@muted" } }));
  delete layout.marks;
}

// Plotly draws a time as it is written: so it is written in the viewer's zone.
function localTime(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16).replace("T", " ");
}

// One script element of our own address; plotly's file is no module.
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url).href;
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => reject(new Error("plotly could not be loaded"));
    document.head.append(script);
  });
  return loading;
}
