import type { Bar, Timeline, TimelineMark } from "./timeline.ts"

/**
 * Bars and marks on a grid. A column is an event, not a span of time: events microseconds apart stay readable next to
 * others that are seconds apart, and their order is exact.
 */
export interface Layout {
  readonly columns: number
  readonly lanes: ReadonlyArray<LaneLayout>
  readonly marks: ReadonlyArray<TimelineMark & { readonly column: number }>
  readonly ticks: ReadonlyArray<{ readonly column: number; readonly atNs: number }>
}

export interface LaneLayout {
  readonly name: string
  /** The number of rows that keep overlapping operations of the lane apart. */
  readonly rows: number
  readonly bars: ReadonlyArray<PlacedBar>
}

export interface PlacedBar extends Bar {
  readonly fromColumn: number
  readonly toColumn: number
  readonly row: number
}

const TICK_EVERY_COLUMNS = 4

export const layOut = ({ bars, marks }: Timeline): Layout => {
  const instants = bars.flatMap(({ fromNs, toNs }) => [fromNs, toNs]).concat(marks.map(({ atNs }) => atNs))
  const ordered = [...new Set(instants)].filter(Number.isFinite).toSorted((a, b) => a - b)
  const columnOf = new Map(ordered.map((instantNs, column) => [instantNs, column]))
  const column = (instantNs: number): number => columnOf.get(instantNs) ?? ordered.length
  const lanes = new Map<string, Array<Bar>>()
  for (const bar of bars) {
    const lane = lanes.get(bar.lane)
    if (lane === undefined) lanes.set(bar.lane, [bar])
    else lane.push(bar)
  }
  return {
    columns: ordered.length + 1,
    lanes: [...lanes]
      .toSorted(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
      .map(([name, own]) => layOutLane(name, own, column)),
    marks: marks.map((mark) => ({ ...mark, column: column(mark.atNs) })),
    ticks: ordered.flatMap((atNs, column) => (column % TICK_EVERY_COLUMNS === 0 ? [{ column, atNs }] : []))
  }
}

const layOutLane = (
  name: string,
  bars: ReadonlyArray<Bar>,
  column: (instantNs: number) => number
): LaneLayout => {
  const freeFromNs: Array<number> = []
  const placed = bars
    .toSorted((a, b) => a.fromNs - b.fromNs)
    .map((bar): PlacedBar => {
      const free = freeFromNs.findIndex((fromNs) => fromNs <= bar.fromNs)
      const row = free === -1 ? freeFromNs.length : free
      freeFromNs[row] = bar.toNs
      const fromColumn = column(bar.fromNs)
      return { ...bar, row, fromColumn, toColumn: Math.max(fromColumn + 1, column(bar.toNs)) }
    })
  return { name, rows: Math.max(1, freeFromNs.length), bars: placed }
}
