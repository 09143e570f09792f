// A dream's mask: how opaque each pixel is, by how much the gradients of its steps reached it (arXiv 2306.06805). The
// formula is that of `galaxylib.dream`, and a test compares the two.

import { PLANES, resize } from "./pixels.js";

const TRANSPARENT = 0.8; // share of the pixels that are not wholly opaque

export class Mask {
  total = null; // one plane, {width, height, data}

  /** Add a step's gradient: its absolute value, averaged over the colours, is brought to mean 1 over the pixels. */
  add({ width, height, data }) {
    const count = width * height;
    const before = this.total && resize(this.total, width, height);
    let sum = 0;
    for (const value of data) sum += Math.abs(value);
    const mean = sum / data.length;
    const now = before ? Float32Array.from(before.data) : new Float32Array(count);
    for (let at = 0; at < data.length; at += 1) now[at % count] += Math.abs(data[at]) / PLANES / mean;
    this.total = { width, height, data: now };
  }

  /** The opacity of each pixel, from 0 to 255; 0 everywhere where no step was made. */
  bytes(width, height) {
    if (!this.total) return new Uint8ClampedArray(width * height);
    const { data } = resize(this.total, width, height);
    // A few pixels would make all others transparent, if the largest value alone were opaque.
    const most = Float32Array.from(data).sort()[Math.max(1, Math.round(TRANSPARENT * data.length)) - 1];
    return Uint8ClampedArray.from(data, (value) => (255 * value) / Math.max(most, 1e-20));
  }
}
