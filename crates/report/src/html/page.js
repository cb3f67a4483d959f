"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));

  // A printed page cannot be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });

  const form = document.getElementById("filters");
  if (!form) return;
  const query = document.getElementById("query");
  const chips = all(".chip");
  const selects = all("select[data-filter]");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const findings = all(".finding").map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    data: element.dataset,
  }));

  const apply = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = chips.filter((c) => c.ariaPressed === "true").map((c) => c.dataset.kind);
    const wanted = selects.filter((s) => s.value).map((s) => [s.dataset.filter, s.value]);
    let count = 0;
    for (const { element, text, data } of findings) {
      const fits =
        (kinds.length === 0 || kinds.includes(data.kind)) &&
        wanted.every(([name, value]) => data[name] === value) &&
        words.every((word) => text.includes(word));
      element.hidden = !fits;
      if (fits) count += 1;
    }
    shown.textContent = `${count} of ${findings.length} shown`;
    nothing.hidden = count > 0;
  };

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = chip.ariaPressed === "true" ? "false" : "true";
      apply();
    });
  }
  query.addEventListener("input", apply);
  for (const select of selects) select.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    for (const chip of chips) chip.ariaPressed = "false";
    // The fields are empty only after the event.
    setTimeout(apply);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape") form.reset();
  });

  // A link to a finding that is filtered away must still lead to it.
  for (const link of all("a[href^='#f-']")) {
    link.addEventListener("click", () => {
      const target = document.getElementById(link.hash.slice(1));
      if (target && target.hidden) {
        target.hidden = false;
        form.reset();
      }
    });
  }

  form.hidden = false;
  apply();
})();
