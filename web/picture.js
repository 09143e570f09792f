// Pictures: from the book, from the reader's file, from noise; to what the engine reads and to what one sees.

// Larger pictures take more memory to open than a phone has.
const MOST_PIXELS = 64e6;
const LARGEST_SIDE = 16384;

/** A file as a square canvas of at most 512 pixels. Throws an Error whose message is for the reader. */
export async function readFile(file) {
  if ((await file.slice(0, 6).text()) === "SIMPLE") {
    throw new Error(
      `${file.name} is a FITS file, which this page cannot read: let \`galaxylib classify\` name its class, or save it as a PNG first.`,
    );
  }
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    const opened = new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject }));
    image.src = address;
    await opened.catch(() => {
      throw new Error(`${file.name || "What was pasted"} is not an image that this browser can open: give a PNG, JPEG or WebP file.`);
    });
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width * height > MOST_PIXELS || Math.max(width, height) > LARGEST_SIDE) {
      throw new Error(
        `The picture has ${width.toLocaleString("en")} × ${height.toLocaleString("en")} pixels, more than fit into memory safely: make it smaller than 8,000 × 8,000 first.`,
      );
    }
    if (Math.min(width, height) < 2) throw new Error("The picture is a single pixel or empty: give a larger one.");
    const side = Math.min(width, height);
    return squared(image, Math.min(512, side), [(width - side) / 2, (height - side) / 2, side, side]);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** Let the reader give a file in three ways: by an input, by dropping it on a part of the page, by pasting it. */
export function listenForFiles(input, area, take) {
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files][0];
    if (file) take(file);
  });
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

/** A picture of the book as a canvas, at its own size. */
export async function readAddress(address) {
  const image = new Image();
  image.src = address;
  await image.decode().catch(() => {
    throw new Error("The galaxy could not be fetched: the page is offline, or the book has moved.");
  });
  return squared(image, image.naturalWidth);
}

/** Even noise in every value, the same for the same seed. */
export function noise(size, seed) {
  const canvas = blank(size);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(size, size);
  const random = generator(seed);
  for (let i = 0; i < pixels.data.length; i += 1) pixels.data[i] = i % 4 === 3 ? 255 : Math.floor(random() * 256);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** A canvas as the engine reads it: {width, height, data} with red, green and blue planes from 0 to 1. */
export function planes(canvas, size) {
  let now = canvas;
  // By halves: one large step down would leave most pixels out.
  while (now.width >= 2 * size) now = squared(now, Math.ceil(now.width / 2));
  if (now.width !== size) now = squared(now, size);
  const bytes = now.getContext("2d").getImageData(0, 0, size, size).data;
  const data = new Float32Array(3 * size * size);
  for (let i = 0; i < size * size; i += 1) {
    for (let c = 0; c < 3; c += 1) data[c * size * size + i] = bytes[4 * i + c] / 255;
  }
  return { width: size, height: size, data };
}

/** Show the engine's bytes (red, green, blue, opacity). */
export function paint(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    Object.assign(canvas, { width: image.width, height: image.height });
  }
  const bytes = image.data instanceof Uint8ClampedArray ? image.data : new Uint8ClampedArray(image.data);
  canvas.getContext("2d").putImageData(new ImageData(bytes, image.width, image.height), 0, 0);
}

/** The engine's bytes with other opacities, a byte for each pixel. */
export function withAlpha({ width, height, data }, alpha) {
  const bytes = new Uint8ClampedArray(data);
  for (let i = 0; i < alpha.length; i += 1) bytes[4 * i + 3] = alpha[i];
  return { width, height, data: bytes };
}

function blank(size) {
  return Object.assign(document.createElement("canvas"), { width: size, height: size });
}

function squared(source, size, cut = [0, 0, source.naturalWidth ?? source.width, source.naturalHeight ?? source.height]) {
  const canvas = blank(size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillRect(0, 0, size, size); // transparency is laid over black
  context.drawImage(source, ...cut, 0, 0, size, size);
  return canvas;
}

// Mulberry32: small, and good enough for noise.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
