// The galaxies that excite a channel or a class most, found when the book was built: small pictures with frames.

import { conceptOf, networkOf } from "./state.js";
import { objectiveName } from "./words.js";

const PLACES = [
  ["upper left", "top", "upper right"],
  ["left", "middle", "right"],
  ["lower left", "bottom", "lower right"],
];

export class Examples {
  /** `base` is the lab's folder, `said` a place for a sentence, `list` for the galaxies. */
  constructor(base, said, list) {
    Object.assign(this, { base, said, list, lists: new Map(), key: null });
  }

  /** Show what belongs to a state: nothing of a whole stage. */
  async show(state, index) {
    const key = JSON.stringify([state.network, state.stage, state.channel, state.concept, Boolean(networkOf(state, index))]);
    if (key === this.key) return; // it stands there, and need not be read out again
    this.key = key;
    const network = networkOf(state, index);
    this.tell("", []);
    if ((state.channel === null && state.stage !== "concept") || !network) return;
    if (!network.examples) {
      this.tell(
        "Which galaxies excite it most is known of the book’s own networks alone: these were shown them when the book was built.",
        [],
      );
      return;
    }
    let found;
    try {
      found = await this.fetched(network.examples);
    } catch {
      if (key !== this.key) return;
      this.tell("The galaxies that excite it most could not be fetched.", []);
      this.key = null; // tried again the next time
      return;
    }
    if (key !== this.key) return;
    const stage = found.stages[conceptOf(state, index)?.stage ?? state.stage];
    const best = state.concept === null ? stage?.best[state.channel] : found.concepts[state.concept];
    if (!best) return; // the stage has no such channel, which the engine says
    const what = objectiveName(state, index);
    if (best.length) this.tell(...describe(best, stage.spans, what, found.images, index));
    else this.tell(`${what[0].toUpperCase()}${what.slice(1)} is silent: none of ${found.images} simulated galaxies excites it.`, []);
  }

  fetched(file) {
    if (!this.lists.has(file)) {
      const answer = fetch(this.base + file).then((got) => (got.ok ? got.json() : Promise.reject(new Error(got.statusText))));
      answer.catch(() => this.lists.delete(file)); // asked again the next time
      this.lists.set(file, answer);
    }
    return this.lists.get(file);
  }

  tell(sentence, galaxies) {
    this.said.textContent = sentence;
    this.said.hidden = !sentence;
    this.list.hidden = !galaxies.length;
    this.list.replaceChildren(...galaxies.map((one) => tile(one, `${this.base}examples/galaxies.webp`)));
  }
}

/** The sentence over the galaxies, and what each tile shows. */
function describe(best, spans, what, images, index) {
  const names = index.class_names;
  const { columns, rows } = index.examples;
  const counts = new Map();
  const galaxies = [];
  for (let i = 0; i < best.length; i += 3) {
    const [galaxy, row, column] = best.slice(i, i + 3);
    const name = names[galaxy % names.length]; // they were drawn class after class
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const frame = spans[row] && [...spans[row], ...spans[column]];
    const sheet = { columns, rows, row: Math.floor(galaxy / columns), column: galaxy % columns };
    galaxies.push({ name, frame, sheet });
  }
  const classes = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} (${count})`);
  const framed = galaxies[0].frame ? ", framed where it answers most" : "";
  return [`Of ${images} simulated galaxies, these excite ${what} most${framed}: ${classes.join(", ")}.`, galaxies];
}

function tile({ name, frame, sheet }, picture) {
  const image = document.createElement("span");
  const percent = (at, count) => `${count > 1 ? (100 * at) / (count - 1) : 0}%`;
  image.setAttribute("role", "img");
  image.title = name;
  image.style.backgroundImage = `url("${picture}")`;
  image.style.backgroundSize = `${100 * sheet.columns}% ${100 * sheet.rows}%`;
  image.style.backgroundPosition = `${percent(sheet.column, sheet.columns)} ${percent(sheet.row, sheet.rows)}`;
  let where = "";
  if (frame) {
    const [top, bottom, left, right] = frame;
    const third = (low, high) => Math.min(2, Math.floor((3 * (low + high)) / 200));
    where = `, framed at the ${PLACES[third(top, bottom)][third(left, right)]}`;
    const border = document.createElement("span");
    Object.assign(border.style, { top: `${top}%`, left: `${left}%`, height: `${bottom - top}%`, width: `${right - left}%` });
    image.append(border);
  }
  image.setAttribute("aria-label", `Simulated galaxy of the class ${name}${where}`);
  const item = document.createElement("li");
  item.append(image);
  return item;
}
