/** The page comes alive: static text stays as it is, charts and rows are added to it. */
import { render } from "preact";
import { CensusChart } from "./charts/census.tsx";
import { BinsChart } from "./charts/bins.tsx";
import { CurvesChart } from "./charts/curves.tsx";
import { EnrichmentChart } from "./charts/enrichment.tsx";
import { FidelityChart } from "./charts/fidelity.tsx";
import { ForestChart } from "./charts/forest.tsx";
import { HistogramChart } from "./charts/histogram.tsx";
import { LorenzChart } from "./charts/lorenz.tsx";
import { drawAll, drawCharts, whenNear } from "./charts/place.tsx";
import { SpecificityChart } from "./charts/specificity.tsx";
import { StudyChart } from "./charts/study.tsx";
import { TimeChart } from "./charts/time.tsx";
import { readReport } from "./data/report.ts";
import type { Report } from "./data/report.ts";
import { readRows } from "./data/rows.ts";
import { Browser } from "./rows/browser.tsx";
import { Model } from "./rows/model.ts";
import { Units } from "./units/units.tsx";
import { enhanceRail, goTo, holdAt } from "./view/rail.tsx";
import { followHash, view } from "./view/state.ts";
import { enhanceTables } from "./view/tables.ts";
import { followTheme } from "./view/theme.ts";

function start(): void {
  const report = readReport();
  if (!report) return;
  document.documentElement.classList.add("js");
  followHash((section) => section && goTo(section));
  followTheme();
  enhanceRail();
  enhanceTables();
  charts(report);
  const { section } = view.get();
  if (section) drawAll(); // so that nothing grows above the section later
  const hold = section ? holdAt(section) : () => undefined;
  rows(report).then(() => requestAnimationFrame(hold), (error: unknown) => {
    console.warn("rows:", error);
    for (const place of document.querySelectorAll("[data-view]"))
      place.textContent = "The rows of this page could not be read: it may be cut short.";
  });
}

function charts(report: Report): void {
  const of = (figure: HTMLElement) => Number(figure.dataset.target ?? report.main ?? 0);
  const { census, curves, effects, specificity, scores, enrichment, fidelity, study } = report;
  drawCharts({
    census: () => census && <CensusChart {...{ report, census }} />,
    study: () => study && <StudyChart {...{ report, study }} />,
    curves: () => curves && <CurvesChart {...{ report, curves }} />,
    forest: () => effects && <ForestChart {...{ report, effects }} />,
    specificity: () => specificity && <SpecificityChart {...{ report }} data={specificity} />,
    histogram: (figure) => {
      const histogram = scores?.[of(figure)]?.histogram;
      return histogram ? <HistogramChart {...{ report, histogram }} target={of(figure)} /> : null;
    },
    lorenz: (figure) => {
      const lorenz = scores?.[of(figure)]?.lorenz;
      return lorenz ? <LorenzChart lorenz={lorenz} /> : null;
    },
    loss: (figure) => {
      const bins = scores?.[of(figure)]?.loss_bins;
      return bins ? <BinsChart bins={bins} /> : null;
    },
    time: (figure) => {
      const bins = scores?.[of(figure)]?.step_bins;
      return bins ? <TimeChart bins={bins} /> : null;
    },
    enrichment: (figure) => {
      const found = enrichment?.[of(figure)];
      return found ? <EnrichmentChart {...{ report }} rows={found} /> : null;
    },
    fidelity: (figure) => {
      const found = fidelity?.[of(figure)];
      const name = report.targets[of(figure)]?.name ?? "";
      return found ? <FidelityChart {...found} name={name} /> : null;
    },
  });
}

async function rows(report: Report): Promise<void> {
  const found = await readRows(report);
  if (!found?.n || !report.targets.length) return;
  const model = new Model(report, found);
  const loaded = model.load();
  const browser = document.querySelector<HTMLElement>("[data-view=rows]");
  if (browser) {
    for (const list of document.querySelectorAll<HTMLElement>(".static-rows")) list.hidden = true;
    render(<Browser model={model} />, browser);
  }
  await loaded;
  const units = document.querySelector<HTMLElement>("[data-view=units]");
  if (units && report.targets.length > 1) whenNear(units, () => render(<Units model={model} />, units));
}

start();
