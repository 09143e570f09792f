// What the network says of a picture before any dream: its class, how sure that is, how unlike the training it is.

// The lead of the first class over the second, in calibrated probability: from the larger one on it is "sure",
// below the smaller one it is "in doubt".
const SURE = 0.8;
const DOUBT = 0.3;

/**
 * Two sentences, {name, likeness}. `probabilities` are those of `names`; `unlike` is the score of
 * `galaxylib.evaluation.unlike`, null of a network that has none.
 */
export function verdict({ probabilities, unlike }, names) {
  return { name: named(probabilities, names), likeness: likeness(unlike) };
}

function named(probabilities, names) {
  const order = names.map((name, number) => ({ name, share: probabilities[number] })).sort((a, b) => b.share - a.share);
  const [first, rival] = order;
  if (!rival) return `Sure: ${percent(first)}.`;
  const lead = first.share - rival.share;
  if (lead >= SURE) return `Sure: ${percent(first)}; its rival is ${percent(rival)}.`;
  if (lead >= DOUBT) return `Rather ${percent(first)} than ${percent(rival)}.`;
  return `In doubt between ${percent(first)} and ${percent(rival)}.`;
}

function percent({ name, share }) {
  return `${name} (${(100 * share).toFixed(1)} %)`;
}

function likeness(unlike) {
  if (unlike === null) return "This network came without a measure of what is unlike its training.";
  const score = `score ${unlike.toFixed(2)}, where 95 % of pictures like those score at most 1`;
  if (unlike > 1) return `The picture is unlike those of its training (${score}): trust the class little.`;
  return `The picture is like those of its training (${score}).`;
}
