// What an exported network's network.json must say. It may come from a stranger: nothing of it is used before.

const FORMAT = 1;
const MOST_BYTES = 2 ** 31;

/** The first field that is missing, of another type or out of range, with what it must be; null where all is well. */
export function wrongField(about) {
  if (about === null || typeof about !== "object") return "it must be an object";
  for (const [name, fits, what] of FIELDS) if (!fits(about[name], about)) return `${name} must be ${what}`;
  return null;
}

const number = (low, high) => (value) => typeof value === "number" && value >= low && value <= high;
const whole = (low, high) => (value) => Number.isInteger(value) && number(low, high)(value);
const text = (value) => typeof value === "string" && value.length > 0 && value.length <= 200;
const list = (fits, least, most) => (value) =>
  Array.isArray(value) && value.length >= least && value.length <= most && value.every(fits);

const like = (pattern) => (value) => typeof value === "string" && pattern.test(value);

// A plain name, so that nothing outside the folder is ever asked for.
const fileName = like(/^[\w-]+\.(onnx|bin)$/);
const hash = like(/^[0-9a-f]{64}$/);

function file(value) {
  return fileName(value?.file) && whole(1, MOST_BYTES)(value.bytes) && hash(value.sha256);
}

function graphs(value) {
  if (value === null || typeof value !== "object") return false;
  const entries = Object.entries(value);
  return (
    entries.length > 0 &&
    entries.length <= 100 &&
    entries.every(([stage, graph]) => /^\w+$/.test(stage) && file(graph) && whole(1, 65536)(graph.channels))
  );
}

// Folders that were exported before there were concepts say nothing of them.
function concepts(value, { graphs: stages }) {
  const fits = (one) =>
    like(/^[\w.]{1,100}$/)(one?.name) &&
    number(-1e6, 1)(one.r2) &&
    Object.hasOwn(stages, one.stage) &&
    list(number(-1, 1), stages[one.stage].channels, stages[one.stage].channels)(one.vector);
  return value === undefined || list(fits, 0, 1000)(value);
}

const FILE = "a file with its name, its number of bytes and its SHA-256";
const FIELDS = [
  ["format", (value) => value === FORMAT, `${FORMAT}`],
  ["name", text, "a short text"],
  ["parameters", whole(1, 1e12), "a whole number above 0"],
  ["size", whole(1, 1024), "a whole number from 1 to 1024"],
  ["mean", list(number(-10, 10), 3, 3), "three numbers"],
  ["std", list(number(1e-4, 10), 3, 3), "three numbers above 0"],
  ["class_names", list(text, 1, 1000), "a list of short texts"],
  ["weights", file, FILE],
  ["forward", file, FILE],
  ["graphs", graphs, "a file and a number of channels for each stage"],
  ["concepts", concepts, "a list of a name, a stage, a share and a direction each"],
];
