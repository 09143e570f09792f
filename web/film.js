// A dream's steps as a film: an animated PNG, written here, that is the finished dream where films do not play.

import { fourBytes, packed, pngChunk, pngHeader, SIGNATURE } from "./png.js";

const MOST_FRAMES = 120;
const MOST_BYTES = 64e6; // of all frames together, as they are kept
const RATE = 12; // frames a second
const HOLD = 2; // seconds that the last one stays

export class Film {
  constructor() {
    Object.assign(this, { frames: [], every: 1, seen: 0, last: null });
  }

  /** The image after a step, {width, height, data: red, green, blue, opacity}. Of a long dream every other one goes. */
  add({ width, height, data }) {
    const frame = new ImageData(new Uint8ClampedArray(data), width, height);
    if (this.seen % this.every === 0) this.frames.push(frame);
    this.seen += 1;
    this.last = frame;
    if (this.frames.length > Math.max(2, Math.min(MOST_FRAMES, MOST_BYTES / data.length))) {
      this.frames = this.frames.filter((_, i) => i % 2 === 0);
      this.every *= 2;
    }
  }

  /** The file: every frame at the size of the last, which is the dream itself. */
  async file() {
    const { width, height } = this.last;
    const frames = this.frames.at(-1) === this.last ? this.frames : [...this.frames, this.last];
    const parts = [
      Uint8Array.from(SIGNATURE),
      pngHeader(width, height, 3),
      pngChunk("acTL", [...fourBytes(frames.length), ...fourBytes(0)]), // again and again
      pngChunk("IDAT", await packed(this.last, 3)), // no part of the film: what other programs show
    ];
    let turn = 0;
    for (const [i, frame] of frames.entries()) {
      const delay = i === frames.length - 1 ? [0, HOLD, 0, 1] : [0, 1, 0, RATE];
      parts.push(pngChunk("fcTL", [...fourBytes(turn), ...fourBytes(width), ...fourBytes(height), ...fourBytes(0), ...fourBytes(0), ...delay, 0, 0]));
      const pixels = await packed(fitted(frame, width, height), 3);
      const body = new Uint8Array(4 + pixels.length);
      body.set(fourBytes(turn + 1));
      body.set(pixels, 4);
      parts.push(pngChunk("fdAT", body));
      turn += 2;
    }
    return new Blob([...parts, pngChunk("IEND", [])], { type: "image/png" });
  }
}

function fitted(frame, width, height) {
  if (frame.width === width && frame.height === height) return frame;
  const [small, large] = [frame, { width, height }].map((one) =>
    Object.assign(document.createElement("canvas"), { width: one.width, height: one.height }),
  );
  small.getContext("2d").putImageData(frame, 0, 0);
  const context = large.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
