/** What the page's JSON holds. Parts that a run does not have are null or missing. */

export type Maybe = number | null;

export interface Target {
  name: string;
  unit: string;
  head: string | null;
  about: string;
  score?: string;
  probe: string;
  shown: string;
}

export interface Domain {
  name: string;
  planted: boolean;
}

export interface Source {
  file: string;
  line: number;
  title?: string | null;
}

export type Entry = string | { bytes: number[] };

export interface Arm {
  name: string;
  label: string;
  colour: string;
  colour_dark: string;
  width: number;
  dash: string;
  marker: string;
  action: string;
  rows: string;
  draws: number;
  control: boolean;
}

export interface Metric {
  id: string;
  title: string;
  unit?: string;
  lower_is_better?: boolean;
  low?: number;
  high?: number;
}

export interface Census {
  metrics: Metric[];
  steps: number[];
  heads: string[];
  births: Record<string, Record<string, number>>;
}

export interface Run {
  arm: number;
  draw: number;
  steps: number[];
  values: Record<string, Maybe[]>;
}

export interface Curves {
  metrics: Metric[];
  runs: Run[];
}

/** One claim: how far an arm is from a control, in the metric's unit. */
export interface EffectRow {
  arm: string;
  unit?: string;
  metric: string;
  effect: Maybe;
  low: Maybe;
  high: Maybe;
  n: number;
  control: string;
  verdict: string;
}

export interface Effects {
  columns: { id: string; title: string; about?: string; unit?: string }[];
  rows: EffectRow[];
}

export interface Specificity {
  heads: string[];
  arms: string[];
  change: Maybe[][];
  random: ([number, number] | null)[] | null;
  /** Runs of random arms. */
  random_runs?: number;
  domains: string[];
  loss_change: Maybe[][];
  loss_random?: ([number, number] | null)[] | null;
}

export interface Scores {
  /** Counts by the domain's number, and of "all". */
  histogram?: { edges: number[]; counts: Record<string, number[]> } | null;
  lorenz?: { positive: [number, number][]; negative: [number, number][] } | null;
  loss_bins?: { x_edges: number[]; y_edges: number[]; counts: number[][] } | null;
  step_bins?: { edges: number[]; mean: Maybe[]; low: Maybe[]; high: Maybe[] } | null;
  top_share?: Record<string, number> | null;
}

export interface Interval {
  ratio: Maybe;
  low: Maybe;
  high: Maybe;
}

export interface Enriched {
  domain: string;
  rows: number;
  share: Maybe;
  top: Record<string, Interval>;
  bottom: Interval;
}

export interface Report {
  version: number;
  experiment: string;
  question: string;
  main: number;
  window: { start: number; end: number; points: number[] };
  rows: { window: number; shown: number; sentence: string };
  targets: Target[];
  domains: Domain[];
  documents: Source[];
  vocabulary: Record<string, Entry>;
  arms: Arm[];
  census?: Census | null;
  curves?: Curves | null;
  effects?: Effects | null;
  specificity?: Specificity | null;
  scores?: (Scores | null)[] | null;
  enrichment?: (Enriched[] | null)[] | null;
  pairs?: Pair[] | null;
  study?: Study | null;
  fidelity?: ({ exact: number[]; stored: number[] } | null)[] | null;
}

/** How far two targets' rankings agree, over every row of the window. */
export interface Pair {
  targets: [number, number];
  spearman: Maybe;
  overlap: Record<string, Maybe>;
}

/** One experiment of a study; its runs name the arms of the report. */
export interface Member {
  name: string;
  experiment: string;
  state: string;
  judged: boolean;
  head: string | null;
  window: { start: number; end: number; points: number[] } | null;
  href: string | null;
  runs: Run[];
}

export interface Study {
  varies: string;
  metric: Metric;
  members: Member[];
}

/** The page's report, or null where the page has none that this script can read. */
export function readReport(): Report | null {
  const element = document.getElementById("report");
  if (!element) return null;
  const report = JSON.parse(element.textContent ?? "null") as Report | null;
  return report?.version === 1 ? report : null;
}
