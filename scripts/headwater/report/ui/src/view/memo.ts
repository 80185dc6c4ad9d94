/** A component drawn again only when one of its properties has changed. */
import { Component, h } from "preact";
import type { ComponentType, FunctionComponent } from "preact";

export function memo<P extends object>(Inner: FunctionComponent<P>): ComponentType<P> {
  return class Memo extends Component<P> {
    shouldComponentUpdate(next: P): boolean {
      const before = this.props as Record<string, unknown>;
      return Object.entries(next).some(([key, value]) => !Object.is(before[key], value));
    }

    render() {
      return h(Inner, this.props as P);
    }
  };
}
