/** The census: every head's score at every checkpoint, as a map; and chosen heads' curves. */
import { useEffect, useState } from "preact/hooks";
import type { Census, Report } from "../data/report.ts";
import { column } from "../data/columns.ts";
import { plain } from "../text/visible.ts";
import { Choice, Switch } from "../view/controls.tsx";
import { formatList, parseList } from "../view/hash.ts";
import { useWidth } from "../view/size.ts";
import { useChoice, useParam, useSwitch } from "../view/state.ts";
import { HeadCurves } from "./headcurves.tsx";
import { CensusMap } from "./map.tsx";
import { collapse } from "./mapdata.ts";
import type { MapData } from "./mapdata.ts";

const MANY_HEADS = 64;

export function CensusChart({ report, census }: { report: Report; census: Census }) {
  const [values, setValues] = useState<Float32Array | null>(null);
  const [metric, setMetric] = useChoice("census", "map", census.metrics.map(({ id }) => id));
  const [log, setLog] = useSwitch("census", "log");
  const [rows, setRows] = useChoice(
    "census",
    "by",
    census.heads.length > MANY_HEADS ? (["layer", "head"] as const) : (["head", "layer"] as const),
  );
  const [text, setChosen] = useParam("census", "head");
  const [place, width] = useWidth();
  useEffect(() => {
    column<Float32Array>("census").then((found) => setValues(found?.values ?? null));
  }, []);
  const chosen = parseList(text).filter((head) => census.heads.includes(head)).slice(0, 6);
  const turn = (head: string) => {
    const next = chosen.includes(head) ? chosen.filter((one) => one !== head) : [...chosen, head];
    setChosen(formatList(next.slice(-6)));
  };
  const at = Math.max(0, census.metrics.findIndex(({ id }) => id === metric));
  const size = census.steps.length * census.heads.length;
  const outlined = new Set(report.targets.map((target) => target.head ?? ""));
  const whole: MapData | null = values && {
    heads: census.heads,
    steps: census.steps,
    values: values.subarray(at * size, (at + 1) * size),
    births: census.births?.[metric] ?? {},
  };
  const shown = whole && rows === "layer" ? collapse(whole) : whole;
  return (
    <div ref={place}>
      <div class="tools">
        <Choice
          label="Score"
          name="map"
          value={metric}
          choices={census.metrics.map(({ id, title }) => [id, plain(title)] as const)}
          onPick={setMetric}
        />
        <Choice
          label="A line for each"
          name="by"
          value={rows}
          choices={[["head", "head"], ["layer", "layer (its highest head)"]]}
          onPick={setRows}
        />
        <Switch name="log" on={log} onTurn={setLog}>
          logarithmic steps
        </Switch>
      </div>
      {shown && (
        <CensusMap
          {...{ data: shown, width, outlined, chosen, turn, log }}
          low={Math.min(0, extreme(shown.values, -1))}
          high={Math.max(0, extreme(shown.values, 1)) || 1}
          title={plain(census.metrics[at].title)}
          window={report.window}
          pick={rows === "head"}
        />
      )}
      {values && chosen.length > 0 && (
        <HeadCurves {...{ census, values, chosen, width, turn }} window={report.window} />
      )}
      {values && chosen.length === 0 && (
        <p class="note">
          Press a head (or Enter on it) to draw its curves; several can be compared.
        </p>
      )}
    </div>
  );
}

/** The highest value, or with a sign of -1 the lowest. */
function extreme(values: Float32Array, sign: 1 | -1): number {
  let most = 0;
  for (const value of values) if (sign * value > sign * most) most = value;
  return most;
}
