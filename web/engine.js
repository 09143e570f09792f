// The engine as a page sees it: a network loaded, dreams run in a worker, events as they go.
//
//   const engine = new Engine({ base: "lab/", onEvent: (event) => ... });
//   await engine.load("lab/small/", { onProgress: (bytes, total) => ... });
//   engine.run(image, { stage: "dma2", channel: null }, { size: 128, steps: 20 });
//
// An image is {width, height, data}: a Float32Array of three planes, values from 0 to 1 (see pixels.js).
// Promises reject with an Error whose message is a sentence for the reader and whose `kind` is one of
// "wasm", "worker", "offline", "network", "memory", "settings", "dream".

export { DEFAULTS, noise } from "./ascent.js";
export { fromRGBA, toRGBA } from "./pixels.js";

export class Engine {
  /**
   * @param {string} base folder with `worker.js` and `ort/`, as an address; by default this module's own.
   * @param {function} onEvent called with
   *   {type: "step", step, total, size, value, image, activation, probabilities, seconds},
   *   {type: "done" | "stopped", steps, image, alpha, values, probabilities, settings, objective, backend, seconds},
   *   {type: "backend", backend, message} when the graphics card was lost, and
   *   {type: "error", message, kind}; images are {width, height, data: RGBA bytes},
   *   and `alpha` is the opacity of each pixel under the dream's mask, from 0 to 255.
   * @param {string} backend "wasm", or "webgpu": the graphics card, where there is one.
   */
  constructor({ base = new URL(".", import.meta.url).href, onEvent = () => {}, backend = "wasm" } = {}) {
    this.base = new URL(base.replace(/\/?$/, "/"), globalThis.document?.baseURI ?? import.meta.url).href;
    this.onEvent = onEvent;
    this.wanted = backend;
    this.network = null;
    this.backend = null;
    this.running = false;
    this.worker = null;
    this.waiting = new Map();
    this.progress = new Map();
    this.count = 0;
  }

  /** Load a network: a folder's address, or a FileList (or list of File) of such a folder. */
  async load(source, { onProgress = () => {} } = {}) {
    await this.stop();
    this.source = typeof source === "string" ? new URL(source, document.baseURI).href : [...source];
    const message = { base: this.base, source: this.source, wanted: this.wanted };
    const { about, backend } = await this.ask("load", message, onProgress);
    this.network = about;
    this.backend = backend;
    return about;
  }

  /** Make ready for dreams on a stage, so that the first step comes at once. */
  async prepare(stage) {
    await this.ask("prepare", { stage });
  }

  /**
   * {probabilities, unlike}: of the classes, at the size that the network was trained on, and how unlike the images
   * of its training the image is (above 1, more than 95 % of them; null of a network without such a score).
   */
  async look(image) {
    return this.ask("look", { image });
  }

  /** Probabilities of the classes alone. */
  async probabilities(image) {
    return (await this.look(image)).probabilities;
  }

  /** {value, gradient, activation} of an objective given by its weights; see `galaxylib.web.export`. */
  async gradient(image, { stage, square, linear }) {
    return this.ask("gradient", { image, stage, square, linear });
  }

  /**
   * Dream. Resolves with the last event ("done", "stopped" or "error"), never rejects.
   * `objective`: {stage: "stem" ... "lam" or "logits", channel: null for all, or a number}, or a direction of a stage:
   * {stage, linear: a number for each channel}.
   * `settings`: any of `DEFAULTS`.
   */
  async run(image, objective, settings = {}) {
    if (this.running) await this.stop();
    this.running = true;
    this.finished = this.dream(image, objective, settings);
    return this.finished;
  }

  async dream(image, objective, settings) {
    let last;
    try {
      last = await this.ask("run", { image, objective, settings });
    } catch (fault) {
      last = { type: "error", message: fault.message, kind: fault.kind ?? "dream" };
    }
    this.running = false;
    this.onEvent(last);
    return last;
  }

  /** Resolves when the present step is over and no further one comes. */
  async pause() {
    if (this.running) await this.ask("pause");
  }

  async resume() {
    if (this.running) await this.ask("resume");
  }

  /** Stop after the present step; resolves when it has. */
  async stop() {
    if (!this.running) return;
    this.ask("stop").catch(() => {}); // the dream itself tells of a fault
    await this.finished;
  }

  /** End the worker and free its memory; the next call starts another. */
  close() {
    this.fail(new Error("The engine was closed."), "closed");
  }

  // Ask the worker. After a fault that leaves it unusable a new one is started and given the network again.
  async ask(command, message = {}, onProgress = () => {}) {
    if (!this.worker) {
      this.start();
      if (command !== "load" && this.network) {
        await this.ask("load", { base: this.base, source: this.source, wanted: "wasm" });
      }
    }
    const id = ++this.count;
    this.progress.set(id, onProgress);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, command, ...message });
    }).finally(() => this.progress.delete(id));
  }

  start() {
    const blocked =
      "The browser does not let this page start a worker, so it cannot dream live: " +
      "open the book from a web server (`python -m http.server` in its folder) instead of as a file.";
    try {
      this.worker = new Worker(new URL("worker.js", this.base), { type: "module" });
    } catch {
      throw Object.assign(new Error(blocked), { kind: "worker" });
    }
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => {
      event.preventDefault?.();
      const started = this.ready;
      const message = started ? `The dream's worker broke off (${event.message}): try again.` : blocked;
      this.fail(new Error(message), "worker");
    };
  }

  hear({ id, result, fault, event }) {
    if (event) {
      if (event.type === "ready") this.ready = true;
      else if (event.type === "progress") this.progress.get(event.id)?.(event.bytes, event.total);
      else {
        if (event.type === "backend") this.backend = event.backend;
        this.onEvent(event);
      }
      return;
    }
    const asked = this.waiting.get(id);
    this.waiting.delete(id);
    if (!asked) return;
    if (!fault) {
      asked.resolve(result);
      return;
    }
    const error = Object.assign(new Error(fault.message), { kind: fault.kind });
    asked.reject(error);
    // A runtime that ran out of memory cannot be trusted any more.
    if (fault.kind === "memory") this.fail(error, "memory");
  }

  fail(error, kind) {
    this.worker?.terminate();
    this.worker = null;
    this.ready = false;
    Object.assign(error, { kind });
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
