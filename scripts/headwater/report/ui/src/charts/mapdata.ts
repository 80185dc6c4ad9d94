/** What the map of heads shows. */

export interface MapData {
  heads: string[];
  steps: number[];
  /** [step, head], as the page's column has it. */
  values: Float32Array;
  births: Record<string, number>;
}

/** The layer in a head's name: `L3` of `L3H7`. */
export const layerOf = (head: string) => /^L\d+/.exec(head)?.[0] ?? head;

/** A line for each layer: at each step its highest head; its birth is its first head's. */
export function collapse(data: MapData): MapData {
  const layers = [...new Set(data.heads.map(layerOf))];
  const at = new Map(layers.map((layer, i) => [layer, i]));
  const values = new Float32Array(data.steps.length * layers.length).fill(NaN);
  const births: Record<string, number> = {};
  data.heads.forEach((head, i) => {
    const layer = at.get(layerOf(head)) ?? 0;
    for (let step = 0; step < data.steps.length; step++) {
      const value = data.values[step * data.heads.length + i];
      const place = step * layers.length + layer;
      if (!(values[place] >= value)) values[place] = value;
    }
    const birth = data.births[head];
    const name = layers[layer];
    if (birth !== undefined && birth !== null) births[name] = Math.min(births[name] ?? Infinity, birth);
  });
  return { heads: layers, steps: data.steps, values, births };
}

/** Where columns begin and end: half-way between the places of neighbouring steps. */
export function columnEdges(places: number[], from: number, to: number): number[] {
  const edges = [from];
  for (let i = 1; i < places.length; i++) edges.push((places[i - 1] + places[i]) / 2);
  edges.push(to);
  return edges;
}
