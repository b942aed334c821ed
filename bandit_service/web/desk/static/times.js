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

// Fields for a time: the page brings them in UTC; they are shown, and sent, in the viewer's zone.
export function pickInViewersZone(root) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of root.querySelectorAll("[data-own-zone]")) {
    field.value = zone;
    field.form.querySelectorAll("[data-zone]").forEach((label) => (label.textContent = `your time, ${zone}`));
  }
  for (const field of root.querySelectorAll("input[type=datetime-local]")) {
    const form = field.form;
    if (field.dataset.utc !== undefined && field.value) field.value = local(new Date(`${field.value}Z`));
    delete field.dataset.utc;
    form.elements.zone.value = zone;
    form.querySelectorAll("[data-zone]").forEach((label) => (label.textContent = `in your time, ${zone}`));
  }
}

function local(at) {
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
