// Images {width, height, data} and how they are resized: `data` is a Float32Array of three planes (red, green,
// blue), each row by row, with values from 0 to 1 unless said otherwise.

export const PLANES = 3;
const STORED = 256; // pixels a side of the images that networks are trained on

/** A new image, each value changed by `change(value, plane, at)`. */
export function planewise(image, change) {
  const { width, height } = image;
  const size = width * height;
  const data = new Float32Array(PLANES * size);
  for (let plane = 0; plane < PLANES; plane++) {
    for (let at = plane * size; at < (plane + 1) * size; at++) data[at] = change(image.data[at], plane, at);
  }
  return { width, height, data };
}

/** Values brought to [0, 1]. */
export function clamp(image) {
  return planewise(image, (value) => Math.max(0, Math.min(1, value)));
}

/** Bytes as a canvas wants them. */
export function toRGBA({ width, height, data }) {
  const size = width * height;
  const pixels = new Uint8ClampedArray(4 * size);
  for (let at = 0; at < size; at++) {
    for (let plane = 0; plane < PLANES; plane++) pixels[4 * at + plane] = 255 * data[plane * size + at];
    pixels[4 * at + 3] = 255;
  }
  return pixels;
}

/** An image from a canvas's bytes (the alpha channel is ignored). */
export function fromRGBA(pixels, width, height) {
  const size = width * height;
  const data = new Float32Array(PLANES * size);
  for (let at = 0; at < size; at++) {
    for (let plane = 0; plane < PLANES; plane++) data[plane * size + at] = pixels[4 * at + plane] / 255;
  }
  return { width, height, data };
}

// Resizing. Each filter gives, for every pixel of the result, which pixels it takes and with what weights.

/** Lanczos with four lobes, for going from one size to the next; values are not clipped. */
export function enlarge(image, width, height) {
  return resample(image, width, height, lanczos);
}

/** Bilinear without antialiasing, between octaves. */
export function resize(image, width, height) {
  return resample(image, width, height, linear);
}

/** Bicubic, antialiased where smaller, in [0, 1]: from any image to a dream's first size. */
export function fit(image, width, height) {
  return image.width === width && image.height === height
    ? image
    : clamp(resample(image, width, height, cubic));
}

/** What a network that reads the central `crop` of stored pixels at `size` sees of an image. */
export function asSeen(image, { crop, size }) {
  const stored = fit(image, STORED, STORED);
  const begin = Math.floor((STORED - crop) / 2);
  const data = new Float32Array(PLANES * crop * crop);
  for (let row = 0; row < PLANES * crop; row++) {
    const from = (Math.floor(row / crop) * STORED + begin + (row % crop)) * STORED + begin;
    data.set(stored.data.subarray(from, from + crop), row * crop);
  }
  return resample({ width: crop, height: crop, data }, size, size, triangle);
}

function lanczos(inputs, outputs) {
  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  return normalisedTaps(outputs, (output) => {
    const place = ((output + 0.5) * inputs) / outputs - 0.5;
    const first = Math.floor(place) - 3;
    return Array.from({ length: 8 }, (_, tap) => {
      const away = place - first - tap;
      const source = Math.max(0, Math.min(inputs - 1, first + tap));
      return [source, sinc(away) * sinc(away / 4)];
    });
  });
}

function linear(inputs, outputs) {
  return normalisedTaps(outputs, (output) => {
    const place = Math.max(0, ((output + 0.5) * inputs) / outputs - 0.5);
    const first = Math.floor(place);
    const share = place - first;
    return [
      [first, 1 - share],
      [Math.min(first + 1, inputs - 1), share],
    ];
  });
}

const cubic = antialiased(2, (x) => {
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
});
const triangle = antialiased(1, (x) => 1 - x);

// A filter that is widened where the result is smaller; `weight` is zero beyond `reach`.
function antialiased(reach, weight) {
  return (inputs, outputs) => {
    const scale = Math.max(inputs / outputs, 1);
    return normalisedTaps(outputs, (output) => {
      const centre = ((output + 0.5) * inputs) / outputs;
      const first = Math.max(0, Math.floor(centre - reach * scale + 0.5));
      const last = Math.min(inputs, Math.floor(centre + reach * scale + 0.5));
      return Array.from({ length: last - first }, (_, tap) => {
        const away = Math.abs((first + tap + 0.5 - centre) / scale);
        return [first + tap, away < reach ? weight(away) : 0];
      });
    });
  };
}

function normalisedTaps(outputs, taps) {
  return Array.from({ length: outputs }, (_, output) => {
    const found = taps(output);
    const sum = found.reduce((total, [, weight]) => total + weight, 0);
    return found.map(([source, weight]) => [source, weight / sum]);
  });
}

// Of as many planes as there are.
function resample(image, width, height, filter) {
  if (image.width === width && image.height === height) return image;
  const planes = image.data.length / (image.width * image.height);
  const across = filter(image.width, width);
  const along = filter(image.height, height);
  const between = new Float32Array(planes * image.height * width);
  for (let row = 0; row < planes * image.height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (const [source, weight] of across[column]) sum += weight * image.data[row * image.width + source];
      between[row * width + column] = sum;
    }
  }
  const data = new Float32Array(planes * height * width);
  for (let plane = 0; plane < planes; plane++) {
    for (let row = 0; row < height; row++) {
      const to = (plane * height + row) * width;
      for (const [source, weight] of along[row]) {
        const from = (plane * image.height + source) * width;
        for (let column = 0; column < width; column++) data[to + column] += weight * between[from + column];
      }
    }
  }
  return { width, height, data };
}
