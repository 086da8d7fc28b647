/** Long lists of which only the rows in view exist, by TanStack Virtual. */

import {
  elementScroll, observeElementOffset, observeElementRect, observeWindowOffset, observeWindowRect, type VirtualItem, Virtualizer,
  type VirtualizerOptions, windowScroll,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useLayoutEffect, useReducer, useState } from "preact/hooks";

/** Rows rendered before and after those in view. */
const OVERSCAN = 3;

interface Rows {
  items: VirtualItem[];
  /** Of all rows, in pixels. */
  height: number;
  scrollTo: (index: number) => void;
}

/** What changes at each rendering of a list. */
interface Shape {
  count: number;
  /** The height of each row in pixels. */
  row: (index: number) => number;
  /** Changes when the heights do. */
  shape: string;
  /** The top of the list in what scrolls. */
  top: number;
}

type Scrolls<E extends Element | Window> = Pick<
  VirtualizerOptions<E, Element>,
  "getScrollElement" | "observeElementRect" | "observeElementOffset" | "scrollToFn"
>;

function useRows<E extends Element | Window>(scrolls: Scrolls<E>, { count, row, top, shape }: Shape): Rows {
  const [, again] = useReducer((times: number) => times + 1, 0);
  const options: VirtualizerOptions<E, Element> = {
    ...scrolls,
    count,
    estimateSize: row,
    scrollMargin: top,
    overscan: OVERSCAN,
    onChange: () => again(undefined as never),
  };
  const [rows] = useState(() => new Virtualizer(options));
  rows.setOptions(options);
  useLayoutEffect(() => rows._didMount(), [rows]);
  useLayoutEffect(() => rows._willUpdate());
  // The heights are known without looking at the rows.
  useLayoutEffect(() => rows.measure(), [rows, shape]);
  return {
    items: rows.getVirtualItems(),
    height: rows.getTotalSize(),
    scrollTo: (index) => rows.scrollToIndex(index, { align: "auto" }),
  };
}

/** The rows of a list that scrolls in an element. */
export function useVirtual(place: RefObject<HTMLElement>, count: number, row: number): Rows {
  const scrolls: Scrolls<Element> = {
    getScrollElement: () => place.current,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
  };
  return useRows(scrolls, { count, row: () => row, shape: String(row), top: 0 });
}

/** The rows of a list that scrolls with the page. */
export function useVirtualPage(shape: Shape): Rows {
  const scrolls: Scrolls<Window> = {
    getScrollElement: () => window,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll as Scrolls<Window>["scrollToFn"],
  };
  return useRows(scrolls, shape);
}
