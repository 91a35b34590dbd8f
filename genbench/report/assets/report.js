"use strict";
(() => {
  const said = document.getElementById("said");
  const opposite = { ascending: "descending", descending: "ascending" };

  // A number, a text, or null for what is missing.
  function keyOf(cell) {
    const value = cell.dataset.v;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  }

  // Controls stay below models and missing values last, whichever way the rest is sorted.
  function order(a, b, sign) {
    if (a.control !== b.control) return a.control ? 1 : -1;
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const texts = typeof a.key === "string" && typeof b.key === "string";
    return sign * (texts ? a.key.localeCompare(b.key) : a.key - b.key);
  }

  function sortBy(head, direction) {
    const table = head.closest("table");
    const column = head.cellIndex;
    for (const body of table.tBodies) {
      const rows = [];
      for (const row of body.rows) {
        if (row.classList.contains("group")) continue;
        rows.push({ row, control: row.classList.contains("control"), key: keyOf(row.cells[column]) });
      }
      rows.sort((a, b) => order(a, b, direction === "ascending" ? 1 : -1));
      const sorted = document.createDocumentFragment();
      for (const { row } of rows) sorted.append(row);
      body.append(sorted);
    }
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    said.textContent = `Sorted by ${head.firstElementChild.textContent}, ${direction}.`;
  }

  for (const button of document.querySelectorAll("th > button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const now = head.getAttribute("aria-sort");
      sortBy(head, now ? opposite[now] : button.dataset.first);
    });
  }

  for (const select of document.querySelectorAll("select[data-chooser]")) {
    const parts = document.querySelectorAll(`[data-of="${select.dataset.chooser}"]`);
    const show = () => {
      for (const part of parts) part.hidden = part.dataset.key !== select.value;
    };
    select.addEventListener("change", show);
    show();
  }
  document.documentElement.classList.add("scripted");
})();
