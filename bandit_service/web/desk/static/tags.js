// Tags in a form: one that is finished with a comma or with Enter becomes a tick like the others.

export function begin() {
  document.querySelectorAll("[data-tags]").forEach(tick);
}

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
