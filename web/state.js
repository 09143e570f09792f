// What the lab shows as one plain object, and the address that says the same: #galaxy=3&stage=lam&size=256.

// Smallest and largest value of each number; whatever an address says beyond them is not taken.
const RANGES = {
  channel: [0, 65535],
  size: [64, 1024],
  steps: [1, 500],
  rate: [0.001, 1],
  octaves: [1, 5],
  ratio: [1.05, 4],
  jitter: [0, 64],
  smoothing: [0.1, 8],
  seed: [0, 4294967295],
};
const WHOLE = ["channel", "size", "steps", "octaves", "jitter", "seed"];
export const ASCENT = ["steps", "rate", "octaves", "ratio", "jitter", "smoothing", "seed"];
const ALWAYS = ["galaxy", "stage", "size"];

/** The state that the page begins with, from the lab's index.json. */
export function beginning(index) {
  return { ...index.settings, ...index.first, channel: null, concept: null, mask: false, network: index.networks[0].name };
}

/** A number in its range, or null. */
export function number(name, text) {
  const value = text === "" || text === null ? NaN : Number(text);
  const [low, high] = RANGES[name];
  if (!(value >= low && value <= high) || (WHOLE.includes(name) && !Number.isInteger(value))) return null;
  return value;
}

/** The state of an address; what it does not say, or says wrongly, is as at the beginning. */
export function readHash(hash, index) {
  const state = beginning(index);
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  for (const name of Object.keys(RANGES)) {
    const value = said.has(name) ? number(name, said.get(name)) : null;
    if (value !== null) state[name] = value;
  }
  const galaxy = said.get("galaxy");
  if (["noise", "own"].includes(galaxy)) state.galaxy = galaxy;
  else if (/^\d+$/.test(galaxy ?? "") && index.class_names[Number(galaxy)]) state.galaxy = Number(galaxy);
  const network = said.get("network") ?? "";
  if (index.networks.some((one) => one.name === network) || /^https?:\/\//.test(network)) state.network = network;
  // What a network elsewhere has is known only when it is opened.
  const stage = said.get("stage") ?? "";
  const stages = networkOf(state, index) ? stagesOf(state, index) : null;
  if (stages ? objectivesOf(state, index).includes(stage) : /^\w+$/.test(stage)) state.stage = stage;
  state.mask = said.get("mask") === "1";
  if (/^-?[\w.]+$/.test(said.get("concept") ?? "")) state.concept = said.get("concept");
  if (state.stage === "concept" && !state.concept) state.stage = index.first.stage;
  if (state.stage === "logits" && !(state.channel in classesOf(state, index))) state.channel = 0;
  return settle(state, index);
}

/** Leave nothing in a state that its network has not: a stage or a concept may be another network's. */
export function settle(state, index) {
  if (!networkOf(state, index)) return state;
  if (!objectivesOf(state, index).includes(state.stage)) Object.assign(state, { stage: stagesOf(state, index).at(-1), channel: null });
  if (state.stage !== "concept") return Object.assign(state, { concept: null });
  const known = conceptOf(state, index) ? state.concept : conceptsOf(state, index)[0].name;
  return Object.assign(state, { concept: known, channel: null });
}

/** The address of a state: the picture always, the rest where it differs from the beginning. */
export function writeHash(state, index) {
  const usual = beginning(index);
  const said = new URLSearchParams();
  for (const name of ["galaxy", "stage", "channel", "concept", "size", "network", ...ASCENT]) {
    if (state[name] === null || state[name] === undefined) continue;
    if (ALWAYS.includes(name) || state[name] !== usual[name]) said.set(name, state[name]);
  }
  if (state.mask) said.set("mask", 1);
  return `#${said}`;
}

/** The address of a state's dream, which is the same with its mask and without. */
export function dreamHash(state, index) {
  return writeHash({ ...state, mask: false }, index);
}

/** The entry of the state's network, undefined of one that was not opened yet. */
export function networkOf(state, index) {
  return index.networks.find((one) => one.name === state.network);
}

export function stagesOf(state, index) {
  return networkOf(state, index)?.stages ?? index.stages;
}

export function classesOf(state, index) {
  return networkOf(state, index)?.class_names ?? index.class_names;
}

/** The concepts of the state's network, {name, stage, r2, vector} each; the best read first. */
export function conceptsOf(state, index) {
  return networkOf(state, index)?.concepts ?? [];
}

/** The concept that a state asks for more of, or, with a minus before its name, for less. */
export function conceptOf(state, index) {
  return conceptsOf(state, index).find(({ name }) => name === state.concept?.replace("-", ""));
}

/** What the stage of a state may be: its network's, its classes, and its concepts if it has any. */
function objectivesOf(state, index) {
  return [...stagesOf(state, index), "logits", ...(conceptsOf(state, index).length ? ["concept"] : [])];
}

/** The dream made beforehand that a state asks for, {file, probabilities, values, before}, or null. */
export function madeBefore(state, index) {
  const network = networkOf(state, index);
  const name = `${state.galaxy}-${state.stage}-${state.size}`;
  const usual = ASCENT.every((key) => state[key] === index.settings[key]);
  const found = usual && state.channel === null ? network?.dreams[name] : null;
  return found ? { ...found, file: `dreams/${network.name}/${name}.webp`, before: network.before[state.galaxy] } : null;
}

/** What a network said of the book's galaxy when the book was built, {probabilities, unlike}, or null. */
export function saidBefore(state, index) {
  const { before, unlike } = networkOf(state, index) ?? {};
  const probabilities = before?.[state.galaxy];
  return probabilities ? { probabilities, unlike: unlike?.[state.galaxy] ?? null } : null;
}

/** What a network's saying depends on: the network and the start. */
export function startKey({ network, galaxy, size, seed }) {
  return JSON.stringify([network, galaxy, ...(galaxy === "noise" ? [size, seed] : [])]);
}

/** What the engine is told to make larger. */
export function objective(state, index) {
  const concept = state.stage === "concept" && conceptOf(state, index);
  if (!concept) return { stage: state.stage, channel: state.channel };
  const sign = state.concept.startsWith("-") ? -1 : 1;
  return { stage: concept.stage, concept: state.concept, linear: concept.vector.map((value) => sign * value) };
}

/** How the engine is told to climb. */
export function settings(state) {
  return Object.fromEntries(["size", ...ASCENT].map((name) => [name, state[name]]));
}
