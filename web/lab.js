// The dream lab's page: controls and address on one side, dreams made beforehand and the live engine on the other.

import { Compare } from "./compare.js";
import { changed, fillForm } from "./controls.js";
import { Examples } from "./examples.js";
import { Film } from "./film.js";
import { listenToTable, smallPicture } from "./gallery.js";
import { Live } from "./live.js";
import { describeNetwork } from "./own_network.js";
import { listenForFiles, noise, paint, planes, readAddress } from "./picture.js";
import { dreamFile, filmFile, offer, openFile } from "./record.js";
import {
  ASCENT,
  beginning,
  dreamHash,
  networkOf,
  objective,
  readHash,
  saidBefore,
  settings,
  settle,
  startKey,
  writeHash,
} from "./state.js";
import { busy, clearFault, fault, id, progress, say } from "./status.js";
import { asShown, onShow, showMeasures, showPictures, showVerdict } from "./view.js";
import { fetchHint, megabytes } from "./words.js";

const base = new URL(document.getElementById("lab-root").dataset.base, document.baseURI).href;
const form = id("form");
const WATCH = 4; // steps between two looks at the probabilities
const live = new Live(base, hear);
const examples = new Examples(base, id("examples-said"), id("examples"));
const compare = new Compare(() => onShow(there()));
let index; // what there is: lab/index.json
let state; // what is shown
let own = null; // the reader's picture, a canvas
let ownFiles = null; // of the reader's network
let turn = 0; // counts presses of the button, so that an outdated one goes no further
let seen = null; // what the network said of the start, {key, probabilities, unlike}
let dream = null; // the live dream on show: what it was asked and what came of it

async function begin() {
  try {
    const answer = await fetch(`${base}index.json`);
    if (!answer.ok) throw new Error(answer.statusText);
    index = await answer.json();
  } catch {
    document.getElementById("lab-root").append(id("fault"));
    fault("The list of dreams could not be fetched, so that the controls are not shown.");
    return;
  }
  state = readHash(location.hash, index);
  form.hidden = false;
  if (/[#&]network=own/.test(location.hash)) say("The address names a network of somebody’s own: open its folder below.");
  id("backend").hidden = !navigator.gpu;
  listen();
  show();
}

// ---- what is shown

/** What the page shows. */
function there() {
  const said = saidBefore(state, index) ?? (seen?.key === startKey(state) ? seen : null);
  return { base, state, index, own, dream, said };
}

function show() {
  if (!id("stop").disabled) stop(); // something else was chosen
  if (dream && dream.address !== dreamHash(state, index)) dream = null;
  fillForm(form, state, index);
  showPictures(there());
  showVerdict(there());
  showMeasures(there(), go);
  examples.show(state, index);
  id("save").disabled = id("film").disabled = !dream?.finished;
  id("keep").disabled = !onShow(there());
  id("mask").setAttribute("aria-pressed", state.mask);
  compare.show();
  id("hint").textContent = fetchHint(state, index, live);
}

function go(changes) {
  Object.assign(state, changes);
  settle(state, index);
  clearFault();
  history.replaceState(null, "", writeHash(state, index));
  show();
}

// ---- the live dream

async function run(event) {
  event.preventDefault();
  clearFault();
  if (state.galaxy === "own" && !own) {
    id("own").open = true;
    fault("No picture was chosen yet: open one, paste one, or choose a galaxy.");
    return;
  }
  busy(true);
  turn += 1;
  const mine = turn;
  const asked = { ...state };
  try {
    const network = await fetchNetwork(asked, mine);
    const start = await startCanvas(asked);
    if (turn !== mine) return;
    say("Dreaming…");
    dream = {
      asked,
      objective: objective(asked, index),
      network,
      start,
      address: dreamHash(asked, index),
      values: [],
      film: new Film(),
      total: asked.steps * asked.octaves,
      finished: false,
    };
    for (const name of ["save", "film", "keep"]) id(name).disabled = true;
    const before = await live.run(planes(start, asked.size), dream.objective, { ...settings(asked), watch: WATCH });
    if (turn === mine && dream) dream.before = before;
  } catch (error) {
    if (turn !== mine) return;
    dream = null;
    busy(false);
    show();
    fault(error.message);
  }
}

/** Let the network name the class of the start, at once where it is the reader's picture. */
async function look() {
  clearFault();
  busy(true, { pausable: false });
  turn += 1;
  const mine = turn;
  const asked = { ...state };
  try {
    await fetchNetwork(asked, mine);
    const start = await startCanvas(asked);
    if (turn !== mine) return;
    say("Looking at the picture…");
    const said = await live.look(planes(start, start.width));
    if (turn !== mine) return;
    seen = { key: startKey(asked), ...said };
    say("");
  } catch (error) {
    if (turn !== mine) return;
    fault(error.message);
  }
  busy(false);
  show();
}

/** Have the state's network in the engine; the progress is shown while no other button was pressed. */
async function fetchNetwork(asked, mine) {
  const source = asked.network === "own" ? ownFiles : networkAddress(asked.network);
  if (!source) throw new Error("The files of your own network are gone: open its folder again.");
  say("Fetching the engine and the network…");
  if (!networkOf(asked, index)) await meet(asked.network, source);
  return live.load(asked.network, source, asked.backend ?? "wasm", (bytes, total) => {
    if (turn !== mine) return;
    progress(bytes / total);
    id("counter").textContent = `${megabytes(bytes)} of ${megabytes(total)}`;
  });
}

function networkAddress(name) {
  return /^https?:/.test(name) ? name.replace(/\/?$/, "/") : `${base}networks/${name}/`;
}

async function startCanvas(asked) {
  if (asked.galaxy === "noise") return noise(asked.size, asked.seed);
  return asked.galaxy === "own" ? own : readAddress(`${base}galaxies/${asked.galaxy}.webp`);
}

function hear(event) {
  if (event.type === "backend") {
    say(event.message);
    return;
  }
  if (event.type === "error") {
    dream = null;
    busy(false);
    show();
    fault(event.message);
    return;
  }
  if (!dream || !event.image) {
    dream = null; // it was stopped: something else was chosen, or no step was made
    busy(false);
    show();
    say("");
    return;
  }
  paint(id("canvas"), event.image);
  dream.film.add(event.image);
  if (event.probabilities) dream.probabilities = [...event.probabilities];
  if (event.type === "step") {
    dream.values.push(event.value);
    dream.total = event.total;
    progress(event.step / event.total);
    dream.activation = event.activation;
    // From the first step on: before it the graph is set up.
    dream.first ??= event.seconds;
    dream.rate = (event.step - 1) / (event.seconds - dream.first) || 0;
    id("counter").textContent = `step ${event.step} of ${event.total}, ${dream.rate.toFixed(1)} a second`;
  }
  id("canvas").hidden = false;
  id("after").hidden = id("none").hidden = true;
  showMeasures(there(), go);
  if (event.type === "step") return;
  const { image, alpha, seconds, backend } = event;
  Object.assign(dream, { image, alpha, seconds, backend, finished: true });
  busy(false);
  show();
  const steps = dream.values.length;
  const done = event.type === "done" ? "Done" : "Stopped";
  const where = dream.backend === "webgpu" ? "the graphics card" : "the processor";
  say(`${done}: ${steps} steps in ${dream.seconds.toFixed(1)} s on ${where}, ${dream.rate?.toFixed(1) ?? 0} a second.`);
}

function pause() {
  const paused = id("pause").textContent === "Pause";
  if (paused) live.pause();
  else live.resume();
  id("pause").textContent = paused ? "Go on" : "Pause";
  say(paused ? "Paused." : "Dreaming…");
}

function stop() {
  if (live.running) {
    live.stop();
    return;
  }
  turn += 1; // still fetching
  live.close();
  busy(false);
  say("Stopped.");
}

// ---- what goes out and comes in

async function save() {
  const { stage, galaxy, size } = dream.asked;
  offer(await dreamFile(dream, asShown(dream, state), writeHash(state, index)), `dream-${stage}-${galaxy}-${size}.png`);
}

async function saveFilm() {
  const { stage, galaxy, size } = dream.asked;
  offer(await filmFile(dream), `dream-${stage}-${galaxy}-${size}-film.png`);
}

async function copyLink() {
  const address = location.href.split("#")[0] + writeHash(state, index);
  history.replaceState(null, "", address);
  const rest = state.galaxy === "own" ? " The picture itself does not travel with it; a saved PNG carries both." : "";
  try {
    await navigator.clipboard.writeText(address);
    say(`The link is copied.${rest}`);
  } catch {
    say(`The link is in the address bar.${rest}`);
  }
}

async function take(file) {
  clearFault();
  try {
    const { picture, hash } = await openFile(file);
    if (picture) [own, seen, dream] = [picture, null, null]; // what was said and dreamed is of the former picture
    go(hash ? readHash(hash, index) : { galaxy: "own" });
    if (!hash) await look();
    else say("The settings of the saved dream are set. Press “Dream it live” to make it again.");
  } catch (error) {
    fault(error.message);
  }
}

/** Open a network of the reader's: `source` is the address of its folder, or its files. */
async function openNetwork(name, source) {
  clearFault();
  try {
    await meet(name, source);
    if (live.key === name) live.key = null; // other files under the same name
    seen = null;
    go({ network: name, channel: state.stage === "logits" ? 0 : null });
  } catch (error) {
    fault(error.message);
  }
}

/** Have a network among those that are known. */
async function meet(name, source) {
  const entry = await describeNetwork(name, source);
  index.networks = [...index.networks.filter((one) => one.name !== name), entry];
}

function openFolder(event) {
  ownFiles = [...event.target.files];
  openNetwork("own", ownFiles);
}

function openAddress() {
  const address = id("url").value.trim();
  if (/^https?:\/\/\S+$/.test(address)) openNetwork(address, networkAddress(address));
  else fault("That is no address of a folder: it begins with https://.");
}

function listen() {
  form.addEventListener("submit", run);
  form.addEventListener("change", (event) => {
    const changes = changed(event.target, state, index);
    if (changes) go(changes);
  });
  id("look").addEventListener("click", look);
  id("pause").addEventListener("click", pause);
  id("stop").addEventListener("click", stop);
  id("save").addEventListener("click", save);
  id("film").addEventListener("click", saveFilm);
  id("mask").addEventListener("click", () => go({ mask: !state.mask }));
  id("link").addEventListener("click", copyLink);
  id("reset").addEventListener("click", () => go(Object.fromEntries(ASCENT.map((name) => [name, index.settings[name]]))));
  listenForFiles(id("file"), document.querySelector("#lab-root .lab-pictures"), take);
  id("folder").addEventListener("change", openFolder);
  id("open").addEventListener("click", openAddress);
  addEventListener("hashchange", () => {
    if (location.hash.includes("=")) go(readHash(location.hash, index)); // else a heading of the page
  });
  id("after").addEventListener("error", () => {
    const small = state.network === index.networks[0].name && smallPicture(id("gallery"), state);
    if (small && id("after").src !== small) id("after").src = small;
    if (id("fault").hidden) fault("The picture could not be fetched in full: the page is offline.");
  });
  listenToTable(id("gallery"), (chosen) => {
    go({ ...beginning(index), ...chosen, size: index.sizes.includes(state.size) ? state.size : index.first.size });
    document.getElementById("lab-root").scrollIntoView();
    id("run").focus({ preventScroll: true });
  });
}

begin();
