/** The colours of domains, told apart by colour-blind readers too, and their key. */
import type { Report } from "../data/report.ts";
import { plain } from "../text/visible.ts";

// Okabe and Ito's, darker or lighter for the paper they stand on; grey for the rest.
const LIGHT = ["#0b6fb3", "#d97b00", "#2a9d78", "#b4568f", "#56a3d4", "#c94f1c", "#8a7a00", "#8b9097"];
const DARK = ["#5aaee8", "#f0a94a", "#4fc79f", "#dd8fbd", "#93cdf2", "#ee8255", "#d3c44a", "#868c94"];

export const domainColours = (isDark: boolean) => (isDark ? DARK : LIGHT);

const orders = new WeakMap<Report, Map<number, number>>();

/** Each domain's place among those with most rows: one colour in all of the page. */
function places(report: Report): Map<number, number> {
  let found = orders.get(report);
  if (!found) {
    const rows = (report.enrichment?.[report.main] ?? []).map((one) => one.rows);
    const order = report.domains.map((_, i) => i);
    order.sort((a, b) => (rows[b] ?? 0) - (rows[a] ?? 0) || a - b);
    found = new Map(order.map((domain, place) => [domain, place]));
    orders.set(report, found);
  }
  return found;
}

/** The place of a domain's colour; domains beyond the colours share the last, grey one. */
export function colourPlace(report: Report, domain: number): number {
  return Math.min(places(report).get(domain) ?? Infinity, LIGHT.length - 1);
}

export function domainWords(report: Report, number: number): string {
  const domain = report.domains[number];
  if (!domain) return "all domains";
  return plain(domain.name) + (domain.planted ? " (planted)" : "");
}

/** The key of all domains that have a colour of their own. */
export function AllDomainsKey({ report, isDark }: { report: Report; isDark: boolean }) {
  const colours = domainColours(isDark);
  const own = report.domains.map((_, i) => i).filter((i) => colourPlace(report, i) < colours.length - 1);
  own.sort((a, b) => colourPlace(report, a) - colourPlace(report, b));
  const rest = report.domains.length - own.length;
  const names = own.map((i) => domainWords(report, i));
  if (rest) names.push(rest === 1 ? "1 other" : `${rest} others`);
  return <DomainKey names={names} colours={[...colours.slice(0, own.length), colours[colours.length - 1]]} />;
}

export function DomainKey({ names, colours }: { names: string[]; colours: string[] }) {
  return (
    <ul class="key" aria-label="Colours of domains">
      {names.map((name, i) => (
        <li key={i}>
          <svg width={10} height={10} aria-hidden="true">
            <rect width={10} height={10} rx={2} fill={colours[i]} />
          </svg>
          <bdi>{name}</bdi>
        </li>
      ))}
    </ul>
  );
}
