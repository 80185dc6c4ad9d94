/** How an open row's tokens are shown: switches beside its text, kept in the address. */
import { useMemo } from "preact/hooks";
import { Choice, Switch } from "../view/controls.tsx";
import { useChoice, useSwitch } from "../view/state.ts";
import type { TokenSwitches } from "./tokenview.tsx";

export function useTokenSwitches(): TokenSwitches {
  const [spaces] = useSwitch("rows", "ws");
  const [codes] = useSwitch("rows", "cp");
  const [oneLine] = useSwitch("rows", "nowrap");
  const [scale] = useChoice("rows", "scale", ["row", "target"] as const);
  return useMemo(
    () => ({ spaces, codes, wrap: !oneLine, byTarget: scale === "target" }),
    [spaces, codes, oneLine, scale],
  );
}

/** The switches of every open row; they act on all. */
export function TokenTools({ row }: { row: number }) {
  const [spaces, setSpaces] = useSwitch("rows", "ws");
  const [codes, setCodes] = useSwitch("rows", "cp");
  const [oneLine, setOneLine] = useSwitch("rows", "nowrap");
  const [scale, setScale] = useChoice("rows", "scale", ["row", "target"] as const);
  return (
    <div class="tools token-tools">
      <Choice
        label="Colours by"
        name={`scale-${row}`}
        value={scale}
        choices={[["row", "row"], ["target", "all rows"]]}
        onPick={setScale}
      />
      <Switch name="ws" on={spaces} onTurn={setSpaces}>
        spaces
      </Switch>
      <Switch name="cp" on={codes} onTurn={setCodes}>
        code points
      </Switch>
      <Switch name="nowrap" on={oneLine} onTurn={setOneLine}>
        one line
      </Switch>
    </div>
  );
}
