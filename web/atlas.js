// The atlas: its cells by click and by key, what is in the chosen one, and the live dream that goes on from there.

import { Live } from "./live.js";
import { noise, paint, planes } from "./picture.js";
import { beginning, settings } from "./state.js";
import { megabytes } from "./words.js";

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const id = (name) => document.getElementById(`atlas-${name}`);
const root = id("root");
const [base, atlas] = ["base", "atlas"].map((name) => new URL(root.dataset[name], document.baseURI).href);
const [side, size, tile, frame] = ["side", "size", "tile", "frame"].map((name) => Number(root.dataset[name]));
const classes = JSON.parse(root.dataset.classes);
const picture = id("picture");
const form = id("form");
const areas = [...id("areas").children];
const live = new Live(base, hear);
let chosen = null; // the section of the cell that is shown
let turn = 0; // counts presses of the button, so that an outdated one goes no further
let listening = false; // whether the engine's events are of the chosen cell
let fetched = null; // the promise of what the live dream needs

// ---- the map

const place = ({ dataset }) => [Number(dataset.row), Number(dataset.column)];
const sectionOf = (area) => document.getElementById(area.hash.slice(1));
const areaOf = (section) => areas.find((area) => area.hash === `#${section.id}`);

/** Image maps do not shrink with their image: let the areas follow it. */
function fit() {
  const width = picture.clientWidth / side;
  for (const area of areas) {
    const [row, column] = place(area);
    area.coords = [column, row, column + 1, row + 1].map((edge) => Math.round(edge * width)).join(",");
  }
  mark();
}

/** Frame the chosen cell. */
function mark() {
  id("mark").hidden = !chosen;
  if (!chosen) return;
  const [row, column] = place(chosen);
  const width = picture.clientWidth / side;
  const [top, left] = [row * width + picture.offsetTop, column * width + picture.offsetLeft];
  Object.assign(id("mark").style, { top: `${top}px`, left: `${left}px`, width: `${width}px`, height: `${width}px` });
}

/** The nearest cell with galaxies in a direction; undefined at the edge. */
function neighbour(area, [down, right]) {
  const [row, column] = place(area);
  const far = ([otherRow, otherColumn]) => {
    const [ahead, aside] = [(otherRow - row) * down + (otherColumn - column) * right, (otherRow - row) * right + (otherColumn - column) * down];
    return ahead > 0 ? ahead + 2 * Math.abs(aside) : Infinity;
  };
  const best = areas.reduce((found, other) => (far(place(other)) < far(place(found)) ? other : found), area);
  return best === area ? undefined : best;
}

/** One cell alone is reached with the Tab key; the arrow keys lead to the others. */
function reach(area) {
  for (const other of areas) other.tabIndex = other === area ? 0 : -1;
}

function tell(area) {
  id("under").textContent = area ? area.alt : "Choose a cell: click it, or walk with the arrow keys and press Enter.";
}

function choose(section, { scroll = true } = {}) {
  if (chosen === section) return;
  if (live.running) live.stop();
  listening = false;
  turn += 1;
  chosen?.classList.remove("chosen");
  chosen = section;
  section.classList.add("chosen");
  reach(areaOf(section));
  mark();
  section.append(form);
  const labels = section.dataset.labels.split(" ").map(Number);
  nameGalaxies(labels);
  fillStarts(labels);
  busy(live.running); // until the former cell's dream has stopped
  form.hidden = false;
  id("canvas").hidden = true;
  id("status").textContent = "";
  id("said").textContent = `Chosen: ${section.getAttribute("aria-label")}. Its galaxies, classes and dream stand below the map.`;
  history.replaceState(null, "", `#${section.id}`);
  if (scroll) section.scrollIntoView({ block: "nearest" });
  hint();
}

/** Underline each galaxy in the colour of its class, which shows its name to a pointer; the label tells how many of each. */
function nameGalaxies(labels) {
  const [, galaxies] = chosen.querySelectorAll('[role="img"]');
  if (galaxies.children.length) return;
  const colours = [...root.querySelectorAll(".atlas-legend li")].map((entry) => entry.style.getPropertyValue("--colour"));
  const tiles = labels.map((label, number) => {
    const part = Object.assign(document.createElement("span"), { title: `${number + 1}: ${classes[label]}` });
    part.style.borderColor = colours[label];
    return part;
  });
  galaxies.append(...tiles);
}

function fillStarts(labels) {
  const galaxies = labels.map((label, number) => new Option(`its galaxy ${number + 1}: ${classes[label]}`, number));
  form.elements.start.replaceChildren(new Option("the dream of this cell", "dream"), ...galaxies, new Option("noise", "noise"));
}

// ---- the live dream

/** The lab's list of networks, and the cells' directions. */
function needed() {
  fetched ??= Promise.all([`${base}index.json`, `${atlas}atlas.json`].map((address) => fetch(address).then((got) => got.json())));
  fetched.catch(() => (fetched = null)); // asked again the next time
  return fetched;
}

async function hint() {
  const mine = turn;
  const [index] = await needed().catch(() => []);
  if (!index || turn !== mine || live.engine) return;
  const bytes = index.runtime.wasm + index.networks[0].bytes;
  id("status").textContent = `The first time, “Go on dreaming here” fetches ${megabytes(bytes)}; the browser keeps them.`;
}

/** What the dream starts from, as a canvas. */
async function startCanvas(asked, section) {
  if (asked === "noise") return noise(size, 0);
  const [row, column] = place(section);
  if (asked === "dream") {
    const pitch = tile + 2 * frame;
    return cut(await readSheet("dreams.webp"), column * pitch + frame, row * pitch + frame, tile);
  }
  const sheet = await readSheet(`galaxies-${row}.webp`);
  const [across, down] = root.dataset.galaxies.split(" ").map(Number);
  const one = sheet.naturalHeight / down;
  return cut(sheet, (column * across + (asked % across)) * one, Math.floor(asked / across) * one, one);
}

async function readSheet(name) {
  const image = new Image();
  image.src = atlas + name;
  await image.decode().catch(() => {
    throw new Error("The picture could not be fetched: the page is offline, or the book has moved.");
  });
  return image;
}

function cut(image, left, top, width) {
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, width, width, 0, 0, size, size);
  return canvas;
}

async function run(event) {
  event.preventDefault();
  turn += 1;
  const [mine, section] = [turn, chosen];
  listening = true;
  busy(true);
  id("status").textContent = "Fetching the engine and the network…";
  try {
    const [index, { cells, settings: made }] = await needed().catch(() => {
      throw new Error("The list of cells could not be fetched: the page is offline, or the book has moved.");
    });
    const network = index.networks[0].name;
    await live.load(network, `${base}networks/${network}/`, "wasm", () => {});
    const start = await startCanvas(form.elements.start.value, section);
    if (turn !== mine) return;
    id("status").textContent = "Dreaming…";
    const [row, column] = place(section);
    const { vector } = cells.find((cell) => cell.row === row && cell.column === column);
    const length = Math.hypot(...vector);
    const linear = vector.map((value) => value / length);
    const how = { ...settings(beginning(index)), size };
    await live.run(planes(start, size), { stage: made.stage, linear }, how);
  } catch (error) {
    if (turn === mine) hear({ type: "error", message: error.message });
  }
}

function stop() {
  if (live.running) {
    live.stop();
    return;
  }
  turn += 1; // still fetching
  hear({ type: "stopped" });
}

function hear(event) {
  if (event.type === "backend") return;
  if (!listening) {
    busy(live.running);
    return;
  }
  if (event.image) {
    paint(id("canvas"), event.image);
    if (id("canvas").hidden) {
      id("canvas").hidden = false;
      id("canvas").scrollIntoView({ block: "nearest" });
    }
  }
  if (event.type === "step") return;
  busy(false);
  if (event.type === "error") id("status").textContent = `${event.message} The dream made beforehand is still here.`;
  else id("status").textContent = event.type === "done" ? `Done: ${event.steps} steps in ${event.seconds.toFixed(1)} s.` : "Stopped.";
}

function busy(yes) {
  const [go, end] = [form.querySelector("[type=submit]"), id("stop")];
  const focused = document.activeElement; // a button that is switched off loses the focus: hand it on
  go.disabled = form.elements.start.disabled = yes;
  end.disabled = !yes;
  if (yes && focused === go) end.focus();
  if (!yes && focused === end) go.focus();
}

// ---- what the reader does

function followAddress(options) {
  const area = areas.find((one) => one.hash === location.hash);
  if (area) choose(sectionOf(area), options);
}

root.classList.add("live");
id("box").removeAttribute("tabindex"); // it no longer scrolls
id("under").hidden = false;
id("areas").addEventListener("click", (event) => {
  const area = event.target.closest("area");
  if (!area || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(sectionOf(area));
});
id("areas").addEventListener("keydown", (event) => {
  if (!STEPS[event.key]) return;
  event.preventDefault(); // the page does not scroll
  const next = neighbour(event.target, STEPS[event.key]);
  if (!next) return;
  reach(next);
  next.focus({ preventScroll: true });
});
for (const kind of ["focusin", "pointerover"]) id("areas").addEventListener(kind, (event) => tell(event.target.closest("area")));
for (const kind of ["focusout", "pointerout"]) id("areas").addEventListener(kind, () => tell(null));
for (const section of id("cells").children) {
  section.querySelector("a").addEventListener("click", (event) => {
    event.preventDefault();
    areaOf(section).focus();
    picture.scrollIntoView({ block: "nearest" });
  });
}
form.addEventListener("submit", run);
id("stop").addEventListener("click", stop);
addEventListener("hashchange", () => followAddress());
tell(null);
reach(areas[0]);
new ResizeObserver(fit).observe(picture);
fit();
followAddress();
