// The worker: onnxruntime-web and the ascent, so that the page never waits.
//
// Messages in: {id, command, ...}. Messages out: {id, result} or {id, fault}, and {event} on the way.

import { ascend, complete } from "./ascent.js";
import { Mask } from "./mask.js";
import { download, Fault, openNetwork } from "./network.js";
import { asSeen, toRGBA } from "./pixels.js";

// The runtime's script, and the stem of its two halves.
const runtimes = {
  wasm: ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"],
  webgpu: ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"],
};

let ort = null;
let backend = null;
let network = null; // {about, content}
let sessions = new Map();
let dreaming = null; // the Control of the dream that runs

const commands = {
  async load({ base, source, wanted, id }) {
    network = null;
    await forget();
    const progress = (bytes, total) => postMessage({ event: { type: "progress", id, bytes, total } });
    const opened = await openNetwork(source, progress);
    await start(base, await choose(wanted));
    network = opened;
    return { about: network.about, backend };
  },

  async prepare({ stage }) {
    await guarded(() => session(stage));
  },

  async look({ image }) {
    return look(image);
  },

  async gradient({ image, stage, square, linear }) {
    return gradient(stage, { square, linear })(image);
  },

  async run({ image, objective, settings }) {
    const control = new Control();
    dreaming = control;
    try {
      return await dream(image, objective, checked(settings), control);
    } finally {
      control.noticed();
      if (dreaming === control) dreaming = null;
    }
  },

  pause() {
    return dreaming?.pause();
  },

  resume() {
    dreaming?.resume();
  },

  stop() {
    dreaming?.stop();
  },
};

onmessage = async ({ data }) => {
  try {
    postMessage({ id: data.id, result: await commands[data.command](data) });
  } catch (fault) {
    postMessage({ id: data.id, fault: told(fault) });
  }
};

// The runtime.

async function choose(wanted) {
  if (wanted !== "webgpu") return "wasm";
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter ? "webgpu" : "wasm";
}

async function start(base, kind) {
  if (typeof WebAssembly !== "object") {
    throw new Fault("This browser has no WebAssembly, so it cannot dream live: use a newer one.", "wasm");
  }
  backend = kind;
  const [entry, half] = runtimes[kind];
  let mjs = `${base}ort/${half}.mjs`;
  try {
    ort = await import(`${base}ort/${entry}`);
  } catch {
    ort = await import(await script(`${base}ort/${entry}`));
    mjs = await script(mjs);
  }
  // One thread: more need headers that a plain file server does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { mjs, wasm: `${base}ort/${half}.wasm` };
  ort.env.logLevel = "error";
}

// Many servers do not know .mjs, and a browser runs no module that comes as another type: give it the right one.
async function script(address) {
  const text = await (await download(address)).text();
  return URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}

async function forget() {
  for (const old of sessions.values()) await old.then((one) => one.release()).catch(() => {});
  sessions = new Map();
}

// The session of a stage's gradient graph, or of "forward"; besides that one, one stage's is kept.
async function session(name) {
  if (!network) throw new Fault("No network is loaded yet.", "network");
  const about = name === "forward" ? network.about.forward : network.about.graphs[name];
  if (!about) throw new Fault(`This network has no stage ${name}.`, "network");
  if (!sessions.has(name)) {
    for (const other of [...sessions.keys()].filter((key) => key !== "forward" && name !== "forward")) {
      const old = sessions.get(other);
      sessions.delete(other);
      await old.then((one) => one.release()).catch(() => {});
    }
    const { content, about: whole } = network;
    const created = ort.InferenceSession.create(content.get(about.file), {
      executionProviders: [backend],
      externalData: [{ path: whole.weights.file, data: content.get(whole.weights.file) }],
      logSeverityLevel: 3,
    });
    sessions.set(name, created);
    created.catch(() => sessions.delete(name));
  }
  return sessions.get(name);
}

// Do something with a session; when the graphics card fails, once more without it.
async function guarded(work) {
  try {
    return await work();
  } catch (fault) {
    if (backend !== "webgpu" || fault instanceof Fault) throw fault;
    await forget();
    backend = "wasm";
    const message = "The graphics card cannot be used any more, so the dream goes on without it, more slowly.";
    postMessage({ event: { type: "backend", backend, message } });
    return work();
  }
}

function compute(name, feeds) {
  return guarded(async () => (await session(name)).run(feeds));
}

function tensor(image) {
  return new ort.Tensor("float32", image.data, [1, 3, image.height, image.width]);
}

// A function from an image to {value, gradient, activation} for an objective on a stage.
function gradient(stage, { square, linear }) {
  const weights = {
    square: new ort.Tensor("float32", Float32Array.from(square), [square.length]),
    linear: new ort.Tensor("float32", Float32Array.from(linear), [linear.length]),
  };
  return async (image) => {
    const found = await compute(stage, { image: tensor(image), ...weights });
    const { width, height } = image;
    return {
      value: found.value.data[0],
      gradient: { width, height, data: found.gradient.data },
      activation: found.activation.data,
    };
  };
}

// What the network says of an image: {probabilities, unlike}, the second null where the network has no score.
async function look(image) {
  const { logits, unlike } = await compute("forward", { image: tensor(asSeen(image, network.about)) });
  const largest = Math.max(...logits.data);
  const powers = Array.from(logits.data, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return { probabilities: powers.map((power) => power / sum), unlike: unlike?.data[0] ?? null };
}

async function probabilities(image) {
  return (await look(image)).probabilities;
}

// The dream.

// Pause, resume and stop, which a dream looks at after each step.
class Control {
  paused = null; // a promise that resolves when the dream may go on
  resume = () => {};
  noticed = () => {};
  stopped = false;

  // Resolves when the dream has noticed.
  pause() {
    this.paused ??= new Promise((resolve) => {
      this.resume = () => {
        this.paused = null;
        resolve();
      };
    });
    return new Promise((resolve) => {
      this.noticed = resolve;
    });
  }

  stop() {
    this.stopped = true;
    this.resume();
  }

  async goOn() {
    if (this.paused && !this.stopped) {
      this.noticed();
      await this.paused;
    }
    return !this.stopped;
  }
}

function checked(settings) {
  try {
    return complete(settings);
  } catch (fault) {
    throw new Fault(fault.message, "settings");
  }
}

function weigh({ stage, channel = null, linear: direction }) {
  const channels = network.about.graphs[stage]?.channels;
  if (!channels) throw new Fault(`This network has no stage ${stage}.`, "settings");
  if (direction) {
    if (direction.length !== channels) throw new Fault(`${stage} has ${channels} channels, not ${direction.length}.`, "settings");
    return { square: new Array(channels).fill(0), linear: direction };
  }
  if (channel === null) {
    return { square: new Array(channels).fill(1 / channels), linear: new Array(channels).fill(0) };
  }
  if (!Number.isInteger(channel) || channel < 0 || channel >= channels) {
    throw new Fault(`${stage} has ${channels} channels: choose 0 to ${channels - 1}.`, "settings");
  }
  const linear = new Array(channels).fill(0);
  linear[channel] = 1;
  return { square: new Array(channels).fill(0), linear };
}

async function dream(image, objective, settings, control) {
  if (!network) throw new Fault("No network is loaded yet.", "network");
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const { mean, std } = network.about;
  const graph = gradient(objective.stage, weigh(objective));
  const mask = new Mask();
  let activation = null;
  const values = [];
  const steps = ascend({
    image,
    settings,
    mean,
    std,
    mask,
    gradient: async (now) => {
      const found = await graph(now);
      activation = found.activation;
      return found;
    },
  });
  let shown = image;
  let next = await steps.next();
  for (; !next.done; next = await steps.next()) {
    const step = next.value;
    shown = step.image;
    values.push(step.value);
    const watched = settings.watch && (step.step % settings.watch === 0 || step.step === 1);
    send({
      type: "step",
      step: step.step,
      total: step.total,
      size: step.size,
      value: step.value,
      image: picture(shown),
      activation: Array.from(activation),
      probabilities: watched ? await probabilities(shown) : null,
      seconds: seconds(),
    });
    await breathe();
    if (!(await control.goOn())) break;
  }
  if (next.done) shown = next.value;
  return {
    type: next.done ? "done" : "stopped",
    steps: values.length,
    image: picture(shown),
    alpha: mask.bytes(shown.width, shown.height),
    value: values.at(-1) ?? null,
    values,
    probabilities: await probabilities(shown),
    settings,
    objective,
    backend,
    seconds: seconds(),
  };
}

function picture(image) {
  return { width: image.width, height: image.height, data: toRGBA(image) };
}

function send(event) {
  postMessage({ event }, [event.image.data.buffer]);
}

// Let messages in, without the delay that timers have.
function breathe() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

// A fault as {message, kind}, in a sentence for the reader.
function told(fault) {
  const said = `${fault?.message ?? fault}`;
  if (fault instanceof Fault) return { message: said, kind: fault.kind };
  if (/bad_alloc|out of memory|allocation|Array buffer|memory access|^\d+$/i.test(said)) {
    return { message: "The browser has no memory left for this dream: choose a smaller size.", kind: "memory" };
  }
  if (/no available backend|CompileError|wasm/i.test(said)) {
    const message = "This browser cannot start WebAssembly here, so it cannot dream live: use a newer one.";
    return { message: `${message} (${said.slice(0, 200)})`, kind: "wasm" };
  }
  return { message: said, kind: "dream" };
}

postMessage({ event: { type: "ready" } });
