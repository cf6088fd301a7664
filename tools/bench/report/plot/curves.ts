import { colourOf, curve, drawing, label, legend, type Point, rule } from "./svg.ts"

/** Curves over the same values of x, both axes logarithmic. */
export interface CurvePlot {
  readonly title: string
  readonly xName: string
  readonly yName: string
  readonly series: ReadonlyArray<{ readonly name: string; readonly points: ReadonlyArray<Point> }>
}

const WIDTH = 720
const HEIGHT = 420
const AREA = { left: 80, right: 680, top: 90, bottom: 350 }

/** Draws the curves. The ticks of x are the measured values; points that have no logarithm are left out. */
export const plotCurves = ({ series, title, xName, yName }: CurvePlot): string => {
  const known = series.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => x > 0 && y > 0)
  }))
  const all = known.flatMap(({ points }) => points)
  const xs = [...new Set(all.map(({ x }) => x))].toSorted((a, b) => a - b)
  const yTicks = ticksAround(all.map(({ y }) => y))
  const xAt = scale(xs, AREA.left + 20, AREA.right - 20)
  const yAt = scale(yTicks, AREA.bottom, AREA.top)
  return drawing(title, WIDTH, HEIGHT, [
    legend(
      { x: AREA.left, y: 56 },
      known.map(({ name }) => name)
    ),
    label({ x: AREA.left, y: AREA.top - 12 }, yName, "start"),
    ...yTicks.flatMap((tick) => [
      rule({ x: AREA.left, y: yAt(tick) }, { x: AREA.right, y: yAt(tick) }),
      label({ x: AREA.left - 8, y: yAt(tick) + 4 }, textOf(tick), "end")
    ]),
    ...xs.map((x) => label({ x: xAt(x), y: AREA.bottom + 20 }, textOf(x), "middle")),
    label({ x: (AREA.left + AREA.right) / 2, y: AREA.bottom + 44 }, xName, "middle"),
    ...known.map(({ points }, index) =>
      curve(
        points.map(({ x, y }) => ({ x: xAt(x), y: yAt(y) })),
        colourOf(index)
      )
    )
  ])
}

/** Places values between two ends by their logarithms; a single value goes to the middle. */
const scale = (values: ReadonlyArray<number>, from: number, to: number) => {
  const low = Math.log10(values[0] ?? 1)
  const high = Math.log10(values.at(-1) ?? 1)
  return (value: number): number =>
    high === low ? (from + to) / 2 : from + ((Math.log10(value) - low) / (high - low)) * (to - from)
}

const STEPS = [1, 2, 5]

/** The numbers 1, 2 and 5 times a power of ten, from below the least value to above the greatest. */
const ticksAround = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const least = Math.min(...values, Number.MAX_VALUE)
  const most = Math.max(...values, 0)
  if (most === 0) return [1, 10]
  const from = Math.floor(Math.log10(least))
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) - from + 1 }, (_, step) => from + step)
  const ticks = decades.flatMap((decade) => STEPS.map((step) => Number((step * 10 ** decade).toPrecision(1))))
  const first = ticks.findLastIndex((tick) => tick <= least)
  const last = ticks.findIndex((tick) => tick >= most)
  return ticks.slice(Math.max(0, first), last + 1)
}

const textOf = (value: number): string => value.toLocaleString("en")
