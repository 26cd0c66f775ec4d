"use strict";

// Tables of trials: a click on a heading sorts, a second one the other way round; words in the box select rows.
for (const section of document.querySelectorAll("[data-sortable]")) {
  const body = section.querySelector("tbody");
  const rows = [...body.rows].map(row => ({ row, cells: [...row.cells].map(cell => cell.textContent) }));
  const headings = [...section.querySelectorAll("th")];

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      rows.sort((a, b) => sign * compare(a.cells[column], b.cells[column]));
      body.append(...rows.map(({ row }) => row));
    });
  });

  const search = section.querySelector("input");
  const found = section.querySelector("output");
  const select = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, cells } of rows) {
      const text = cells.join("\n").toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    found.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} trials`;
  };
  search.addEventListener("input", select);
  search.closest("[hidden]").hidden = false;
  select();
}

// Numbers by value, all else as text; empty cells last.
function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}

// Sliders: the errors at the threshold that is chosen.
for (const slider of document.querySelectorAll("[data-points]")) {
  const points = JSON.parse(slider.dataset.points);
  const input = slider.querySelector("input");
  const show = () => {
    const [threshold, misses, falseAlarms] = points[input.value];
    slider.querySelector(".threshold").textContent = Number(threshold.toPrecision(6));
    slider.querySelector(".misses").textContent = `${misses.toFixed(2)} %`;
    slider.querySelector(".false-alarms").textContent = `${falseAlarms.toFixed(2)} %`;
    input.setAttribute("aria-valuetext", slider.querySelector("p").innerText);
  };
  input.addEventListener("input", show);
  show();
}
for (const section of document.querySelectorAll("section[hidden]")) section.hidden = false;
