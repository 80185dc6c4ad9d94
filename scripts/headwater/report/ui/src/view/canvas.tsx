/** A canvas of a size in the page's pixels, sharp on every screen. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { px } from "./size.ts";

interface Props {
  width: number;
  height: number;
  /** Draws; what it gives, if anything, ends the drawing. */
  draw: (context: CanvasRenderingContext2D) => void | (() => void);
  /** It is drawn again when one of these has changed. */
  when: unknown[];
}

export function Canvas({ width, height, draw, when }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = useRatio();
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!canvas.current || !context || !width || !height) return;
    canvas.current.width = Math.round(width * ratio); // whole pixels: the rest is scaled
    canvas.current.height = Math.round(height * ratio);
    context.scale(canvas.current.width / width, canvas.current.height / height);
    return draw(context) ?? undefined;
  }, [width, height, ratio, ...when]);
  return <canvas ref={canvas} aria-hidden="true" style={{ width: px(width), height: px(height) }} />;
}

/** Pixels of the screen in one of the page's; it changes with the zoom, and between screens. */
function useRatio(): number {
  const [ratio, setRatio] = useState(window.devicePixelRatio || 1);
  useEffect(() => {
    const query = window.matchMedia(`(resolution: ${ratio}dppx)`);
    const changed = () => setRatio(window.devicePixelRatio || 1);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [ratio]);
  return ratio;
}
