// The figures beside a dream: the activation step by step, the most active channels, what the network takes it for.

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 150, 46, 22];

/** Draw the activation after each step; `total` steps fill the width. */
export function drawCurve(svg, values, total) {
  svg.replaceChildren();
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return;
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const x = (i) => LEFT + ((WIDTH - LEFT - 6) * i) / Math.max(1, total - 1);
  const y = (value) => 8 + (HEIGHT - BOTTOM - 8) * (high > low ? (high - value) / (high - low) : 0.5);
  add(svg, "path", { d: `M${LEFT} 4V${HEIGHT - BOTTOM}H${WIDTH - 4}`, class: "lab-axis" });
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  add(svg, "polyline", { points, class: "lab-line" });
  if (high > low) add(svg, "text", { x: LEFT - 4, y: 12, "text-anchor": "end" }, brief(high));
  add(svg, "text", { x: LEFT - 4, y: HEIGHT - BOTTOM, "text-anchor": "end" }, brief(low));
  add(svg, "text", { x: LEFT, y: HEIGHT - 6 }, "1");
  add(svg, "text", { x: WIDTH - 6, y: HEIGHT - 6, "text-anchor": "end" }, `step ${total}`);
  svg.setAttribute("aria-label", `Activation, step by step: from ${brief(values[0])} to ${brief(values.at(-1))}`);
}

/** Fill the table: a row a class, with bars; `after` may be null. */
export function showProbabilities(table, names, before, after) {
  const rows = names.map((name, i) => {
    const row = document.createElement("tr");
    const head = Object.assign(document.createElement("th"), { scope: "row", textContent: name });
    row.append(head, bar(before?.[i]), bar(after?.[i]));
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
}

/** Offer the channels that answered most to a dream of a whole stage; none where `activation` is null. */
export function showChannels(place, activation, choose) {
  place.hidden = !activation;
  if (!activation) return;
  const order = activation.map((value, channel) => [value, channel]).sort((a, b) => b[0] - a[0]);
  const buttons = order.slice(0, 5).map(([, channel]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: channel });
    button.setAttribute("aria-label", `Channel ${channel}`);
    button.addEventListener("click", () => choose(channel));
    return button;
  });
  place.replaceChildren("Its most active channels: ", ...buttons);
}

function bar(share) {
  const cell = document.createElement("td");
  cell.textContent = share === undefined ? "" : `${(100 * share).toFixed(1)} %`;
  cell.style.setProperty("--share", `${100 * (share ?? 0)}%`);
  return cell;
}

function brief(value) {
  return Number(value.toPrecision(3)).toString();
}

function add(svg, name, attributes, text = "") {
  const part = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
  part.textContent = text;
  svg.append(part);
}
