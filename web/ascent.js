// The ascent: an image changed step by step until a network's activations are as large as they get.
//
// Pure functions on images as in pixels.js. The formulae are those of `galaxylib.dream`, and a test compares the
// two step by step; only the random numbers differ (PyTorch's generator is not JavaScript's).

import { clamp, enlarge, fit, planewise, PLANES, resize } from "./pixels.js";

/** How a dream is made. `size`, `steps`, `rate` and `jitter` may be lists, one entry for each size. */
export const DEFAULTS = {
  size: 128, // shorter side in pixels; a list is dreamed one after the other, each on the enlarged one before
  steps: 20, // on each octave
  rate: 0.05, // step length, in normalised pixel units of a gradient whose deviation is 1
  jitter: 10, // largest random circular shift in pixels, either way
  octaves: 2, // levels of the pyramid at each size; the last has the full size
  ratio: 1.3, // between an octave's width and the one before it
  smoothing: 0.5, // sigma in pixels that the gradient's blur starts from, growing by 2 over the steps
  sharpen: 0.5, // of the final unsharp mask; 0 is none
  seed: 0, // of the shifts
  watch: 4, // class probabilities after every so many steps; 0 is only at the end
};

const SMALLEST = 32;
const LARGEST = 2048;

/** Settings filled up and checked; throws an Error whose message is a sentence for the reader. */
export function complete(given) {
  const unknown = Object.keys(given).filter((name) => !(name in DEFAULTS) && name !== "sizes");
  if (unknown.length) throw new Error(`The settings have no ${unknown.join(", ")}.`);
  const filled = { ...DEFAULTS, ...given };
  const sizes = [filled.sizes ?? filled.size].flat();
  const list = (value) => (Array.isArray(value) ? value : sizes.map(() => value));
  const { sizes: _, ...settings } = { ...filled, size: sizes };
  for (const name of ["steps", "rate", "jitter"]) settings[name] = list(filled[name]);
  const lengths = ["steps", "rate", "jitter"].every((name) => settings[name].length === sizes.length);
  if (!lengths) throw new Error("Give size, steps, rate and jitter the same number of entries.");
  const numbers = Object.values(settings).flat();
  if (!numbers.every((value) => Number.isFinite(value))) throw new Error("A setting is not a number.");
  if (!sizes.every((size) => size >= SMALLEST && size <= LARGEST)) {
    throw new Error(`A dream's size is from ${SMALLEST} to ${LARGEST} pixels.`);
  }
  const whole = [...settings.steps, ...settings.jitter, settings.octaves, settings.watch];
  if (!whole.every((value) => Number.isInteger(value) && value >= 0) || settings.octaves < 1) {
    throw new Error("Steps, jitter and octaves are whole numbers, with at least one octave.");
  }
  if (settings.ratio <= 1 || settings.ratio > 4 || settings.smoothing <= 0) {
    throw new Error("The ratio is above 1, up to 4, and smoothing is above 0.");
  }
  if (levelSide(Math.min(...sizes), 0, settings) < SMALLEST) {
    throw new Error(`The first octave would have less than ${SMALLEST} pixels: choose fewer octaves.`);
  }
  return settings;
}

/** Steps of a whole dream. */
export function totalSteps(settings) {
  return settings.octaves * settings.steps.reduce((sum, steps) => sum + steps, 0);
}

/** Length of a side on an octave, in pixels. */
export function levelSide(side, level, { octaves, ratio }) {
  return roundEven(side * ratio ** (level - octaves + 1));
}

// As Python rounds: a half goes to the even neighbour.
function roundEven(x) {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

/**
 * Dream. Yields after each step {step, total, size, value, image}; `value` is the objective before the step,
 * `image` in [0, 1] after it, at the octave's size. Returns the finished image.
 *
 * `gradient(image)` takes an image in [0, 1] and promises {value, gradient} with respect to that image. `mask` is
 * given the gradient of each step.
 */
export async function* ascend({ image, gradient, settings, mean, std, mask }) {
  const random = generator(settings.seed);
  const shorter = Math.min(image.width, image.height);
  const scaled = (size) => [image.width, image.height].map((side) => roundEven((side * size) / shorter));
  let now = fit(image, ...scaled(settings.size[0]));
  let step = 0;
  for (const [number, size] of settings.size.entries()) {
    const [width, height] = scaled(size);
    // Not clipped when enlarged: the first step's clamp does it.
    let x = normalise(number ? enlarge(now, width, height) : now, mean, std);
    for (let level = 0; level < settings.octaves; level++) {
      x = resize(x, levelSide(width, level, settings), levelSide(height, level, settings));
      const steps = settings.steps[number];
      for (let index = 0; index < steps; index++) {
        const jitter = settings.jitter[number];
        const [down, right] = [0, 1].map(() => Math.floor(random() * (2 * jitter + 1)) - jitter);
        const sigma = (2 * (index + 1)) / steps + settings.smoothing;
        const found = await gradient(denormalise(roll(x, down, right), mean, std));
        const normalised = planewise(found.gradient, (value, plane) => value * std[plane]);
        const direction = roll(shape(normalised, sigma), -down, -right);
        mask.add(roll(normalised, -down, -right));
        x = climb(x, direction, settings.rate[number], mean, std);
        step += 1;
        const shown = clamp(denormalise(x, mean, std));
        yield { step, total: totalSteps(settings), size, value: found.value, image: shown };
      }
    }
    now = clamp(denormalise(resize(x, width, height), mean, std));
  }
  return settings.sharpen ? unsharp(now, settings.sharpen) : now;
}

// The gradient with respect to normalised pixels, blurred, with mean 0 and deviation 1.
function shape(gradient, sigma) {
  return standardise(convolve(gradient, gaussianCascade(sigma)));
}

// A step, and back to what pixels can be.
function climb(x, direction, rate, mean, std) {
  const low = mean.map((value, plane) => -value / std[plane]);
  const high = mean.map((value, plane) => (1 - value) / std[plane]);
  const next = planewise(x, (value, plane, at) => {
    const moved = value + rate * direction.data[at];
    return Math.max(low[plane], Math.min(high[plane], moved));
  });
  return next;
}

/** Pixels in [0, 1] to what the network was trained on. */
export function normalise(image, mean, std) {
  return planewise(image, (value, plane) => (value - mean[plane]) / std[plane]);
}

/** The way back. */
export function denormalise(image, mean, std) {
  return planewise(image, (value, plane) => value * std[plane] + mean[plane]);
}

/** Moved down and to the right; what leaves on one side comes back on the other. */
export function roll(image, down, right) {
  const { width, height } = image;
  const data = new Float32Array(image.data.length);
  const cut = ((right % width) + width) % width;
  for (let plane = 0; plane < PLANES; plane++) {
    for (let row = 0; row < height; row++) {
      const from = (plane * height + row) * width;
      const to = (plane * height + ((((row + down) % height) + height) % height)) * width;
      data.set(image.data.subarray(from, from + width - cut), to + cut);
      data.set(image.data.subarray(from + width - cut, from + width), to);
    }
  }
  return { width, height, data };
}

/** Mean 0 and deviation 1 over all values; throws where all are equal or one is no number. */
export function standardise(gradient) {
  let sum = 0;
  let squares = 0;
  const count = gradient.data.length;
  for (const value of gradient.data) sum += value;
  const mean = sum / count;
  for (const value of gradient.data) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / (count - 1));
  if (deviation === 0) {
    throw new Error(
      "What was chosen has no gradient at this image, so there is no way up: the channel may be silent here; " +
        "choose another, or another image.",
    );
  }
  if (!Number.isFinite(deviation)) {
    throw new Error("The gradient is not finite: the network's weights may be damaged.");
  }
  return planewise(gradient, (value) => (value - mean) / deviation);
}

/** Mean of three Gaussians of 0.5, 1 and 2 times `sigma` pixels, each of sum 1: a square kernel, row by row. */
export function gaussianCascade(sigma, side = 9) {
  const kernel = new Float32Array(side * side);
  for (const factor of [0.5, 1, 2]) {
    const row = gaussianRow(factor * sigma, side);
    for (let at = 0; at < kernel.length; at++) {
      kernel[at] += (row[Math.floor(at / side)] * row[at % side]) / 3;
    }
  }
  return kernel;
}

function gaussianRow(sigma, side) {
  const row = Array.from({ length: side }, (_, i) => Math.exp(-(((i - (side - 1) / 2) / sigma) ** 2) / 2));
  const sum = row.reduce((total, value) => total + value, 0);
  return row.map((value) => value / sum);
}

/** Each plane with the same square kernel, the image mirrored at its border. */
export function convolve(image, kernel) {
  const { width, height } = image;
  const side = Math.round(Math.sqrt(kernel.length));
  const reach = (side - 1) / 2;
  const wide = width + 2 * reach;
  const padded = new Float32Array(wide * (height + 2 * reach));
  const data = new Float32Array(image.data.length);
  for (let plane = 0; plane < PLANES; plane++) {
    const begin = plane * width * height;
    for (let row = 0; row < height + 2 * reach; row++) {
      const source = begin + mirror(row - reach, height) * width;
      for (let column = 0; column < wide; column++) {
        padded[row * wide + column] = image.data[source + mirror(column - reach, width)];
      }
    }
    for (let tap = 0; tap < kernel.length; tap++) {
      const offset = Math.floor(tap / side) * wide + (tap % side);
      const weight = kernel[tap];
      for (let row = 0; row < height; row++) {
        const to = begin + row * width;
        const from = row * wide + offset;
        for (let column = 0; column < width; column++) data[to + column] += weight * padded[from + column];
      }
    }
  }
  return { width, height, data };
}

// The border pixel itself is not repeated.
function mirror(place, length) {
  const inside = place < 0 ? -place : place;
  return inside >= length ? 2 * (length - 1) - inside : inside;
}

/** (1 + amount) x - amount G(x), in [0, 1], with G a Gaussian of 13 x 13 pixels and sigma 2. */
export function unsharp(image, amount) {
  const row = gaussianRow(2, 13);
  const kernel = Float32Array.from({ length: 169 }, (_, at) => row[Math.floor(at / 13)] * row[at % 13]);
  const blurred = convolve(image, kernel);
  return clamp(planewise(image, (value, _, at) => (1 + amount) * value - amount * blurred.data[at]));
}

// Random numbers.

/** Evenly distributed numbers in [0, 1) from a whole-numbered seed (the mulberry32 generator). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An image of independent values, evenly from 0 to 1. */
export function noise(width, height, seed) {
  const random = generator(seed);
  return { width, height, data: Float32Array.from({ length: PLANES * width * height }, random) };
}
