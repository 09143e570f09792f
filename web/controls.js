// The form: what it shows of a state, and what a change of it says.

import { ASCENT, classesOf, conceptsOf, networkOf, number, stagesOf } from "./state.js";
import { conceptName, networkName, stageName } from "./words.js";

/** Let the form show a state. */
export function fillForm(form, state, index) {
  const entry = (name) => form.elements[name];
  const names = new Set([...index.networks.map((one) => one.name), state.network]);
  const networks = [...names].map((name) => new Option(networkName({ network: name }, index), name));
  entry("network").replaceChildren(...networks);
  const sizes = [...entry("size").options].map((option) => option.value);
  if (!sizes.includes(`${state.size}`)) entry("size").add(new Option(`${state.size} pixels`, state.size));
  const stages = stagesOf(state, index).map((stage) => new Option(stageName(stage), stage));
  const concepts = conceptsOf(state, index).flatMap(({ name }) => [name, `-${name}`].map((one) => new Option(conceptName(one), one)));
  const others = [new Option("a class", "logits"), ...(concepts.length ? [new Option("a concept", "concept")] : [])];
  entry("stage").replaceChildren(...stages, ...others);
  entry("concept").replaceChildren(...concepts);
  entry("class").replaceChildren(...classesOf(state, index).map((name, i) => new Option(name, i)));
  for (const name of ["galaxy", "stage", "size", "network", ...ASCENT]) entry(name).value = state[name];
  const logits = state.stage === "logits";
  entry("channel").parentElement.hidden = logits || state.stage === "concept";
  entry("concept").parentElement.hidden = state.stage !== "concept";
  entry("concept").value = state.concept;
  entry("class").parentElement.hidden = !logits;
  if (logits) entry("class").value = state.channel;
  else entry("channel").value = state.channel ?? "";
  const channels = networkOf(state, index)?.channels[state.stage];
  entry("channel").max = channels ? channels - 1 : "";
}

/** What the change of a control changes of the state, or null; a value out of range changes nothing. */
export function changed({ name, value, validity }, state, index) {
  switch (name) {
    case "galaxy":
      return { galaxy: /^\d+$/.test(value) ? Number(value) : value };
    case "stage":
      return { stage: value, channel: value === "logits" ? 0 : null };
    case "concept":
      return { concept: value };
    case "class":
      return { channel: Number(value) };
    case "channel":
      return { channel: validity.valid ? number(name, value) : state.channel };
    case "network": {
      const { sizes = [] } = networkOf({ network: value }, index) ?? {};
      return { network: value, size: sizes.includes(state.size) || !sizes.length ? state.size : sizes[0] };
    }
    case "backend":
      return { backend: value };
    default: // files and addresses, which are opened elsewhere, or a number
      return ["size", ...ASCENT].includes(name) ? { [name]: number(name, value) ?? state[name] } : null;
  }
}
