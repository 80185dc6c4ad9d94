/** The page's small controls. */
import type { ComponentChildren } from "preact";

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  value: T;
  choices: readonly (readonly [T, string])[];
  onPick: (value: T) => void;
}

/** A few choices beside each other: radio buttons that look like one switch. */
export function Choice<T extends string>({ label, name, value, choices, onPick }: ChoiceProps<T>) {
  return (
    <fieldset class="choice" data-testid={name}>
      <legend>{label}</legend>
      {choices.map(([id, words]) => (
        <label key={id} class={id === value ? "on" : ""}>
          <input type="radio" name={name} checked={id === value} onChange={() => onPick(id)} />
          {words}
        </label>
      ))}
    </fieldset>
  );
}

interface SwitchProps {
  on: boolean;
  onTurn: (on: boolean) => void;
  children: ComponentChildren;
  name: string;
}

export function Switch({ on, onTurn, children, name }: SwitchProps) {
  return (
    <label class="switch">
      <input
        type="checkbox"
        data-testid={name}
        checked={on}
        onChange={(event) => onTurn(event.currentTarget.checked)}
      />
      {children}
    </label>
  );
}

interface SelectProps {
  label: string;
  name: string;
  value: string;
  choices: readonly (readonly [string, string])[];
  onPick: (value: string) => void;
}

export function Select({ label, name, value, choices, onPick }: SelectProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select
        data-testid={name}
        value={value}
        onChange={(event) => onPick(event.currentTarget.value)}
      >
        {choices.map(([id, words]) => (
          <option key={id} value={id}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
