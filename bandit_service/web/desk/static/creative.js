// The form of a creative: what is typed is shown at once.

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
