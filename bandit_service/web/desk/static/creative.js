// The form of a creative: what is typed is shown at once, and tags become ticks.

export function begin() {
  const form = document.querySelector("[data-creative] form");
  const wait = new Map();
  for (const name of ["headline", "image_url"]) {
    form.elements[name]?.addEventListener("input", () => {
      clearTimeout(wait.get(name));
      wait.set(name, setTimeout(() => show(name, form.elements[name].value.trim()), name === "headline" ? 0 : 300));
    });
  }
  const picture = form.elements.picture;
  picture?.addEventListener("change", () => {
    const [file] = picture.files;
    picture.setCustomValidity(file && file.size > Number(picture.dataset.most) ? "This picture is too large: save it smaller, or as JPEG." : "");
    picture.reportValidity();
    reveal("image_url", file ? URL.createObjectURL(file) : form.elements.image_url.value.trim());
  });
  document.querySelectorAll("[data-tags]").forEach(tick);
}

function show(name, value) {
  for (const line of document.querySelectorAll(`[data-says="${name}"]`)) line.textContent = value || "Your headline";
  reveal(name, /^(https?:\/\/|\/(?!\/))/i.test(value) ? value : "");
}

function reveal(name, address) {
  for (const frame of document.querySelectorAll(`[data-shows="${name}"]`)) {
    frame.hidden = !address;
    frame.classList.remove("broken");
    const image = frame.querySelector("img");
    if (address) image.src = address;
    else image.removeAttribute("src");
  }
  for (const blank of document.querySelectorAll(`[data-waits="${name}"]`)) blank.hidden = Boolean(address);
}

// A tag that is finished with a comma or with Enter becomes a tick like the others.
function tick(field) {
  const input = field.querySelector("#more_tags");
  const take = () => {
    const words = input.value.split(",").map((word) => word.trim()).filter(Boolean);
    input.value = "";
    for (const word of words) add(field, word);
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) {
      event.preventDefault();
      take();
    }
  });
  input.addEventListener("input", (event) => {
    const chosen = event.inputType === "insertReplacementText" || event.inputType === undefined;
    if (input.value.includes(",") || (chosen && input.value)) take();
  });
}

function add(field, word) {
  const known = [...field.querySelectorAll("input[type=checkbox]")].find((box) => box.value === word);
  if (known) {
    known.checked = true;
    return;
  }
  let list = field.querySelector(".ticks");
  if (!list) {
    list = document.createElement("ul");
    list.className = "ticks";
    field.querySelector("label[for=more_tags]").before(list);
  }
  const item = document.createElement("li");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "tags", value: word, checked: true });
  const text = document.createElement("span");
  text.textContent = word;
  label.append(box, text);
  item.append(label);
  list.append(item);
}
