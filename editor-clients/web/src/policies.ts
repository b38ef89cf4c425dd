// The policies that the server knows by name, and the numbers that each takes.

import type { Wish } from "./session";

interface Knob {
  name: string;
  min: number;
  max: number;
  step: number;
  value: number;
}

interface Policy {
  label: string;
  knobs: Knob[];
  /** Which tasks can be decoded that way: changes of existing code have thresholds and modes alone. */
  edits: boolean;
}

const share = (name: string, value: number): Knob => ({ name, min: 0, max: 1, step: 0.01, value });

const POLICIES: Record<string, Policy> = {
  default: { label: "the model's own", knobs: [], edits: true },
  threshold: { label: "threshold", knobs: [share("at least", 0.9)], edits: true },
  "token-editing": { label: "token editing", knobs: [share("masks", 0.5), share("edits", 0.9)], edits: true },
  fixed: {
    label: "fixed steps",
    knobs: [{ name: "steps", min: 1, max: 64, step: 1, value: 8 }],
    edits: false,
  },
  factor: { label: "factor", knobs: [{ name: "f", min: 0.1, max: 4, step: 0.1, value: 1 }], edits: false },
  entropy: {
    label: "entropy bound",
    knobs: [{ name: "γ", min: 0.01, max: 2, step: 0.01, value: 0.1 }],
    edits: false,
  },
  speculative: { label: "self-speculation", knobs: [], edits: true },
  "prompt-lookup": { label: "prompt lookup", knobs: [], edits: true },
};

export class PolicyChoice {
  constructor(
    private list: HTMLSelectElement,
    private numbers: HTMLElement,
  ) {
    for (const [name, policy] of Object.entries(POLICIES)) list.add(new Option(policy.label, name));
    list.onchange = () => this.showNumbers();
  }

  /** Offers what the task can use. */
  suit(task: Wish["task"]): void {
    for (const option of this.list.options)
      option.disabled = task !== "fill" && !POLICIES[option.value]?.edits;
    if (this.list.selectedOptions[0]?.disabled) this.list.value = "default";
    this.showNumbers();
  }

  /** As the server names it, such as `threshold:0.9`. */
  get name(): string {
    const values = [...this.numbers.querySelectorAll("input")].map((input) => input.value);
    return values.length ? `${this.list.value}:${values.join(",")}` : this.list.value;
  }

  private showNumbers(): void {
    const knobs = POLICIES[this.list.value]?.knobs ?? [];
    this.numbers.replaceChildren(...knobs.map(knob));
  }
}

function knob({ name, min, max, step, value }: Knob): HTMLElement {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "range", min, max, step, value });
  const shown = Object.assign(document.createElement("output"), { value: String(value) });
  input.oninput = () => (shown.value = input.value);
  label.append(`${name} `, input, shown);
  return label;
}
