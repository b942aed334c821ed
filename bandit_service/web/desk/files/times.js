// Times in the viewer's zone and locale; what the server wrote, in UTC, stays as the title.

const NEAR = { hour: "2-digit", minute: "2-digit" };
const FAR = { year: "numeric", month: "short", day: "numeric", ...NEAR };

export function inViewersZone(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime()) || time.dataset.local) continue;
    const today = at.toDateString() === new Date().toDateString();
    time.title = time.textContent;
    time.textContent = (today ? "today, " : "") + new Intl.DateTimeFormat(navigator.languages, today ? NEAR : FAR).format(at);
    time.dataset.local = "yes";
  }
}
