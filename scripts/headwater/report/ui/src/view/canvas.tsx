/** A canvas of a size in the page's pixels. */
import { useLayoutEffect, useRef } from "preact/hooks";

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
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!canvas.current || !context) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.current.width = width * ratio;
    canvas.current.height = height * ratio;
    context.scale(ratio, ratio);
    return draw(context) ?? undefined;
  }, [width, height, ...when]);
  return <canvas ref={canvas} aria-hidden="true" style={{ width, height }} />;
}
