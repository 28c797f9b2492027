/**
 * Looking closer at a still: which part of the picture the frame shows.
 *
 * `scale` 1 fits the picture; `x` and `y` move it, as fractions of the frame,
 * and never so far that the frame shows anything beside the picture.
 */

export interface ZoomView {
  scale: number;
  x: number;
  y: number;
}

export const FITTED: ZoomView = { scale: 1, x: 0, y: 0 };
export const CLOSEST = 8;

/** Back within the bounds. */
export function bounded({ scale, x, y }: ZoomView): ZoomView {
  const within = Math.max(1, Math.min(CLOSEST, scale));
  const reach = (within - 1) / 2;
  const hold = (offset: number) => Math.max(-reach, Math.min(reach, offset)) + 0;
  return { scale: within, x: hold(x), y: hold(y) };
}

/**
 * Zooms so that what is under the pointer stays under it. The pointer is
 * measured from the middle of the frame, as fractions of its size.
 */
export function zoomedAt(view: ZoomView, factor: number, pointerX: number, pointerY: number): ZoomView {
  const scale = Math.max(1, Math.min(CLOSEST, view.scale * factor));
  const change = scale / view.scale;
  return bounded({
    scale,
    x: pointerX - (pointerX - view.x) * change,
    y: pointerY - (pointerY - view.y) * change,
  });
}

/** Moves the picture by fractions of the frame. */
export function panned(view: ZoomView, dx: number, dy: number): ZoomView {
  return bounded({ ...view, x: view.x + dx, y: view.y + dy });
}

/**
 * How much of a still's height the picture itself takes: an annotated still has
 * words below it, and both are as wide. `clean` and `annotated` are width over
 * height; `null` as long as one of them is not known.
 */
export function pictureShare(annotated: number | null, clean: number | null): number | null {
  return annotated === null || clean === null ? null : Math.min(1, annotated / clean);
}
