// What every page runs: times in the viewer's zone, pictures that do not load, filters that need no
// button, numbers that move. Charts and forms bring their own parts. Everything here is an extra:
// without it each page shows and does the same.

import { follow } from "./live.js";
import { inViewersZone, pickInViewersZone } from "./times.js";

inViewersZone(document);
pickInViewersZone(document);
mindPictures();
filterAtOnce();
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
forgetWhatWasSaid();
document.querySelectorAll("[data-live-from]").forEach(follow);
if (document.querySelector("[data-chart]")) import("./charts.js").then((charts) => charts.drawAll(document));
if (document.querySelector("[data-creative]")) import("./creative.js").then((creative) => creative.begin());
if (document.querySelector("[data-tags]")) import("./tags.js").then((tags) => tags.begin());

// A picture that cannot be loaded says so in words rather than in a broken sign.
function mindPictures() {
  const lost = (image) => image.closest(".pic")?.classList.add("broken");
  document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && lost(event.target), true);
  for (const image of document.querySelectorAll(".pic img")) {
    if (image.complete && image.naturalWidth === 0 && image.getAttribute("src")) lost(image);
  }
}

function filterAtOnce() {
  for (const form of document.querySelectorAll("form[data-eager]")) {
    form.addEventListener("change", (event) => event.target instanceof HTMLSelectElement && form.requestSubmit());
  }
}

// What a page says of the change that led to it is not said again when it is reloaded.
function forgetWhatWasSaid() {
  const address = new URL(location.href);
  if (!address.searchParams.has("done")) return;
  for (const name of ["done", "of", "was"]) address.searchParams.delete(name);
  history.replaceState(null, "", address);
}
