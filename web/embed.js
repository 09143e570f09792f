// The small lab inside a page: one galaxy, a stage (which a chapter lets choose), and a button.

import { Live } from "./live.js";
import { paint, planes, readAddress } from "./picture.js";
import { beginning, madeBefore, objective, settings } from "./state.js";
import { megabytes, networkName, objectiveName, startName } from "./words.js";

const root = document.getElementById("embed-root");
const base = new URL(root.dataset.base, document.baseURI).href;
const form = document.getElementById("embed-form");
const after = document.getElementById("embed-after");
const canvas = document.getElementById("embed-canvas");
const stop = document.getElementById("embed-stop");
const live = new Live(base, hear);
let index;

function say(text) {
  document.getElementById("embed-status").textContent = text;
}

function busy(yes) {
  form.querySelector("[type=submit]").disabled = form.elements.stage.disabled = yes;
  stop.disabled = !yes;
}

function asked() {
  return { ...beginning(index), galaxy: Number(root.dataset.galaxy), stage: form.elements.stage.value };
}

function describe(how) {
  const state = asked();
  document.getElementById("embed-caption").textContent =
    `Start: ${startName(state, index)}. Dream: ${objectiveName(state, index)} at ${state.size} pixels by ` +
    `${networkName(state, index)}, ${how}.`;
}

function show() {
  const state = asked();
  describe("made when this book was built");
  after.src = base + madeBefore(state, index).file;
  after.alt = `The dream of ${objectiveName(state, index)}, made when this book was built`;
  after.hidden = false;
  canvas.hidden = true;
}

async function run(event) {
  event.preventDefault();
  busy(true);
  try {
    const state = asked();
    const network = index.networks[0];
    say("Fetching the engine and the network…");
    await live.load(network.name, `${base}networks/${network.name}/`, "wasm", () => {});
    say("Dreaming…");
    const galaxy = await readAddress(`${base}galaxies/${state.galaxy}.webp`);
    await live.run(planes(galaxy, state.size), objective(state, index), settings(state));
  } catch (error) {
    hear({ type: "error", message: error.message });
  }
}

function hear(event) {
  if (event.type === "error") {
    busy(false);
    show();
    say(`${event.message} The dream made beforehand is still here.`);
    return;
  }
  if (event.type === "backend") return;
  if (event.image) {
    paint(canvas, event.image);
    canvas.hidden = false;
    after.hidden = true;
  }
  if (event.type === "step") return;
  busy(false);
  describe("dreamed in this browser");
  say(event.type === "done" ? `Done: ${event.steps} steps in ${event.seconds.toFixed(1)} s.` : "Stopped.");
}

fetch(`${base}index.json`)
  .then((answer) => answer.json())
  .then((found) => {
    index = found;
    form.hidden = false;
    const bytes = index.runtime.wasm + index.networks[0].bytes;
    say(`The first time, “Dream it live” fetches ${megabytes(bytes)}; the browser keeps them.`);
    form.addEventListener("submit", run);
    form.elements.stage.addEventListener("change", show);
    stop.addEventListener("click", () => live.stop());
  })
  .catch(() => {}); // without the list the picture stays as it is
