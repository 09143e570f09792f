// The table of dreams made beforehand: a click or Enter shows one, the arrow keys move.

/** Let a table's links call `choose({galaxy, stage})` instead of leaving the page. */
export function listenToTable(table, choose) {
  table.addEventListener("click", (event) => {
    const { galaxy, stage } = event.target.closest("a")?.dataset ?? {};
    if (!stage || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose({ galaxy: Number(galaxy), stage });
  });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("td");
    if (!step || !cell) return;
    const next = table.tBodies[0].rows[cell.parentElement.sectionRowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
    const link = next?.querySelector("a");
    if (!link) return;
    event.preventDefault();
    link.focus();
  });
  // Small pictures stay usable offline, so they are fetched even where nobody scrolls to them.
  for (const image of table.querySelectorAll("img")) image.loading = "eager";
}

/** The small picture of a dream, which came with the page; null where there is none. */
export function smallPicture(table, { galaxy, stage }) {
  return table.querySelector(`[data-galaxy="${galaxy}"][data-stage="${stage}"] img`)?.src ?? null;
}
