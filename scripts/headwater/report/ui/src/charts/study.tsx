/** A study: the head's score in every one of its experiments, on one scale. */
import { useMemo } from "preact/hooks";
import type { Member, Report, Study } from "../data/report.ts";
import { Choice } from "../view/controls.tsx";
import { useWidth } from "../view/size.ts";
import { useChoice } from "../view/state.ts";
import { armCurves } from "./curvedata.ts";
import { MODES, Panel, byEnd } from "./curves.tsx";
import { Legend, useHidden } from "./legend.tsx";

export function StudyChart({ report, study }: { report: Report; study: Study }) {
  const [mode, setMode] = useChoice("members", "mode", MODES.map(([id]) => id));
  const [hidden] = useHidden(report.arms);
  const [place, width] = useWidth();
  const judged = study.members.filter((member) => member.judged && member.runs.length > 0);
  const { metric } = study;
  const data = useMemo(
    () => judged.map(({ runs }) => armCurves({ metrics: [metric], runs }, metric.id, mode)),
    [study, mode],
  );
  const ends = data.flat().flatMap((curve) => curve.points.flatMap((point) => [point.low, point.high]));
  const reach: [number, number] | undefined = ends.length
    ? [Math.min(...ends), Math.max(...ends)]
    : undefined;
  const columns = Math.max(1, Math.min(3, judged.length, Math.floor(width / 320)));
  const each = Math.floor((width - (columns - 1) * 24) / columns);
  return (
    <div ref={place}>
      <div class="tools">
        <Choice label="Show" name="mode" value={mode} choices={MODES} onPick={setMode} />
      </div>
      <Legend arms={report.arms} order={byEnd(data[0] ?? [])} />
      <div class="multiples" data-columns={columns}>
        {judged.map((member, i) => (
          <Panel
            key={member.name}
            metric={{ ...metric, id: member.name, title: titleOf(member) }}
            curves={data[i].filter((curve) => !hidden.has(curve.arm))}
            {...{ arms: report.arms, width: each, mode, reach }}
            span="all"
            window={member.window}
          />
        ))}
      </div>
      <p class="note">All panels have one scale. Arrow keys move the cursor.</p>
    </div>
  );
}

const titleOf = ({ name, head }: Member) => (head ? `${name}: ${head}` : name);
