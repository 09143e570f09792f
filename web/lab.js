// The dream lab's page: controls and address on one side, dreams made beforehand and the live engine on the other.

import { changed, fillForm } from "./controls.js";
import { listenToTable, smallPicture } from "./gallery.js";
import { Live } from "./live.js";
import { drawCurve, showProbabilities } from "./measures.js";
import { describeNetwork } from "./own_network.js";
import { noise, paint, planes, readAddress } from "./picture.js";
import { dreamFile, offer, openFile } from "./record.js";
import {
  ASCENT,
  beginning,
  classesOf,
  madeBefore,
  networkOf,
  objective,
  readHash,
  settings,
  stagesOf,
  writeHash,
} from "./state.js";
import { fetchHint, megabytes, networkName, objectiveName, startName } from "./words.js";

const id = (name) => document.getElementById(`lab-${name}`);
const base = new URL(document.getElementById("lab-root").dataset.base, document.baseURI).href;
const form = id("form");
const WATCH = 4; // steps between two looks at the probabilities
const live = new Live(base, hear);
let index; // what there is: lab/index.json
let state; // what is shown
let own = null; // the reader's picture, a canvas
let ownFiles = null; // of the reader's network
let turn = 0; // counts presses of the button, so that an outdated one goes no further
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

function show() {
  if (!id("stop").disabled) stop(); // something else was chosen
  if (dream && dream.address !== writeHash(state, index)) dream = null;
  fillForm(form, state, index);
  showBefore();
  const made = madeBefore(state, index);
  id("canvas").hidden = !dream;
  id("after").hidden = Boolean(dream) || !made;
  id("none").hidden = Boolean(dream) || Boolean(made);
  if (made && !dream) {
    id("after").src = base + made.file;
    id("after").alt = `The dream of ${objectiveName(state, index)} on ${startName(state, index)}`;
  }
  const { values, before, probabilities } = dream ?? made ?? {};
  drawCurve(id("curve"), values ?? [], dream?.total ?? values?.length ?? 1);
  showProbabilities(id("probabilities"), classesOf(dream?.asked ?? state, index), before, probabilities);
  showChannels();
  id("save").disabled = !dream?.finished;
  const how = dream ? "dreamed in this browser" : made ? "made when this book was built" : "not dreamed yet";
  id("caption").textContent =
    `Start: ${startName(state, index)}. Dream: ${objectiveName(state, index)} at ${state.size} pixels by ${networkName(state, index)}, ${how}.`;
  id("hint").textContent = fetchHint(state, index, live);
}

function showBefore() {
  const image = id("before");
  if (state.galaxy === "noise") image.src = noise(state.size, state.seed).toDataURL();
  else if (state.galaxy === "own") image.src = own ? own.toDataURL() : "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  else image.src = `${base}galaxies/${state.galaxy}.webp`;
  image.alt = state.galaxy === "own" && !own ? "No picture was chosen yet" : startName(state, index);
}

/** Offer the channels that answered most to a dream of a whole stage. */
function showChannels() {
  const whole = dream?.finished && state.channel === null && dream.activation;
  id("channels").hidden = !whole;
  if (!whole) return;
  const order = dream.activation.map((value, channel) => [value, channel]).sort((a, b) => b[0] - a[0]);
  const buttons = order.slice(0, 5).map(([, channel]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: channel });
    button.setAttribute("aria-label", `Channel ${channel}`);
    button.addEventListener("click", () => go({ channel }));
    return button;
  });
  id("channels").replaceChildren("Its most active channels: ", ...buttons);
}

function go(changes) {
  Object.assign(state, changes);
  const stages = stagesOf(state, index);
  if (networkOf(state, index) && ![...stages, "logits"].includes(state.stage)) {
    Object.assign(state, { stage: stages.at(-1), channel: null }); // of another network
  }
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
    const source = asked.network === "own" ? ownFiles : networkAddress(asked.network);
    if (!source) throw new Error("The files of your own network are gone: open its folder again.");
    say("Fetching the engine and the network…");
    if (!networkOf(asked, index)) await meet(asked.network, source);
    const network = await live.load(asked.network, source, asked.backend ?? "wasm", (bytes, total) => {
      if (turn !== mine) return;
      progress(bytes / total);
      id("counter").textContent = `${megabytes(bytes)} of ${megabytes(total)}`;
    });
    const start = await startCanvas(asked);
    if (turn !== mine) return;
    say("Dreaming…");
    dream = {
      asked,
      network,
      start,
      address: writeHash(asked, index),
      values: [],
      total: asked.steps * asked.octaves,
      finished: false,
    };
    const before = await live.run(planes(start, asked.size), objective(asked), { ...settings(asked), watch: WATCH });
    if (turn === mine && dream) dream.before = before;
  } catch (error) {
    if (turn !== mine) return;
    dream = null;
    busy(false);
    show();
    fault(error.message);
  }
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
  if (!dream) {
    busy(false); // it was stopped because something else was chosen
    say("");
    return;
  }
  if (event.image) paint(id("canvas"), event.image);
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
    drawCurve(id("curve"), dream.values, dream.total);
  }
  id("canvas").hidden = false;
  id("after").hidden = id("none").hidden = true;
  showProbabilities(id("probabilities"), classesOf(dream?.asked ?? state, index), dream.before, dream.probabilities);
  if (event.type === "step") return;
  Object.assign(dream, { seconds: event.seconds, backend: event.backend });
  dream.finished = true;
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

function busy(yes) {
  // A button that is switched off loses the focus: hand it on.
  const focused = document.activeElement;
  id("run").disabled = yes;
  id("pause").disabled = id("stop").disabled = !yes;
  if (yes && focused === id("run")) id("stop").focus();
  if (!yes && [id("pause"), id("stop")].includes(focused)) id("run").focus();
  id("pause").textContent = "Pause";
  id("progress").hidden = id("counter").hidden = !yes;
  id("counter").textContent = "";
  progress(0);
  for (const part of form.querySelectorAll("fieldset, details")) part.inert = yes;
}

// ---- what goes out and comes in

async function save() {
  const { stage, galaxy, size } = dream.asked;
  offer(await dreamFile(id("canvas"), dream), `dream-${stage}-${galaxy}-${size}.png`);
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
    own = picture ?? own;
    go(hash ? readHash(hash, index) : { galaxy: "own" });
    if (hash) say("The settings of the saved dream are set. Press “Dream it live” to make it again.");
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

// ---- words for the reader

function say(text) {
  id("status").textContent = text;
}

function fault(text) {
  id("fault").textContent = `${text} The dreams made beforehand are still here.`;
  id("fault").hidden = false;
  id("status").textContent = "";
}

function clearFault() {
  id("fault").hidden = true;
}

function progress(share) {
  id("progress").value = share;
}

function listen() {
  form.addEventListener("submit", run);
  form.addEventListener("change", (event) => {
    const changes = changed(event.target, state, index);
    if (!changes) return;
    if (changes.galaxy === "own" && !own) id("own").open = true;
    go(changes);
  });
  id("pause").addEventListener("click", pause);
  id("stop").addEventListener("click", stop);
  id("save").addEventListener("click", save);
  id("link").addEventListener("click", copyLink);
  id("reset").addEventListener("click", () => go(Object.fromEntries(ASCENT.map((name) => [name, index.settings[name]]))));
  id("file").addEventListener("change", (event) => event.target.files[0] && take(event.target.files[0]));
  id("folder").addEventListener("change", openFolder);
  id("open").addEventListener("click", openAddress);
  addEventListener("hashchange", () => {
    if (location.hash.includes("=")) go(readHash(location.hash, index)); // else a heading of the page
  });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files][0];
    if (file) take(file);
  });
  const pictures = document.querySelector("#lab-root .lab-pictures");
  pictures.addEventListener("dragover", (event) => event.preventDefault());
  pictures.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
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
