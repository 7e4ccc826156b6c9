// Tables that sort and filter, and images that grow; the page says the same without it.
"use strict";

const value = (cell) => {
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? text : number;
};

// Numbers before words, words by letter; equal rows keep their order.
const compare = (a, b) =>
  typeof a === typeof b
    ? typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true })
    : typeof a === "number" ? -1 : 1;

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => sign * compare(value(a.cells[column]), value(b.cells[column])));
      table.tBodies[0].append(...rows);
    });
  });
}

for (const filter of document.querySelectorAll("input.filter")) {
  const rows = [...document.getElementById(filter.getAttribute("aria-controls")).tBodies[0].rows];
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
}

const lens = document.getElementById("lens");
if (lens) {
  const show = (event) => {
    const tile = event.target.closest(".tile");
    lens.hidden = !tile;
    if (!tile) return;
    lens.classList.toggle("pixels", Boolean(tile.closest(".pixels")));
    lens.querySelector("img").src = tile.querySelector("img").src;
    lens.querySelector("figcaption").textContent = tile.title;
  };
  for (const kind of ["mouseover", "focusin", "click"]) document.addEventListener(kind, show);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") lens.hidden = true; });
}
