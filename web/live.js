// The engine as the pages use it: started on demand, fetched once, its faults turned into sentences.

import { Engine } from "./engine.js";

export class Live {
  /** `base` is the lab's folder; `hear` gets the engine's events. */
  constructor(base, hear) {
    Object.assign(this, { base, hear, engine: null, key: null, backend: null, running: false, climbing: false });
  }

  /**
   * Have a network ready. `key` names it, `source` is the address of its folder or its files.
   * Throws an Error whose message is for the reader.
   */
  async load(key, source, backend, onProgress) {
    if (typeof WebAssembly !== "object") {
      throw new Error("This browser has no WebAssembly, or it is switched off, so nothing can be dreamed live here.");
    }
    if (this.engine && this.backend !== backend) this.close();
    if (!this.engine) {
      const hear = (event) => engine === this.engine && this.heard(event);
      const engine = new Engine({ base: this.base, backend, onEvent: hear });
      Object.assign(this, { engine, backend });
    }
    if (this.key !== key) {
      this.key = null;
      try {
        await this.engine.load(source, { onProgress });
      } catch (error) {
        this.close(); // a worker that did not start is not asked again
        if (navigator.onLine || error.kind !== "worker") throw error;
        throw new Error("The engine could not be fetched: the page is offline.");
      }
      this.key = key;
    }
    return this.engine.network;
  }

  /** What the loaded network says of a picture, {probabilities, unlike}. */
  look(image) {
    return this.engine.look(image);
  }

  /** Start an ascent; resolves with the probabilities before it, while the events tell of its steps. */
  async run(image, objective, settings) {
    this.running = true;
    try {
      const before = await this.engine.probabilities(image);
      if (this.running) {
        this.climbing = true;
        this.engine.run(image, objective, settings); // never rejects: its faults are events
      }
      return before;
    } catch (error) {
      this.running = false;
      throw error;
    }
  }

  pause() {
    this.engine.pause();
  }

  resume() {
    this.engine.resume();
  }

  stop() {
    if (this.climbing) this.engine.stop();
    else this.heard({ type: "stopped" });
  }

  heard(event) {
    if (["done", "stopped", "error"].includes(event.type)) this.running = this.climbing = false;
    // After a fault the worker's state is unknown: the next dream starts a fresh one.
    if (event.type === "error") this.close();
    this.hear(event);
  }

  close() {
    this.engine?.close?.();
    Object.assign(this, { engine: null, key: null, running: false, climbing: false });
  }
}
