import { box, colourOf, drawing, label, legend, rule } from "./svg.ts"

/** Groups of bars: for each group one bar of each series, or none where there is no figure. */
export interface BarPlot {
  readonly title: string
  readonly series: ReadonlyArray<string>
  readonly groups: ReadonlyArray<{
    readonly name: string
    readonly values: ReadonlyArray<number | null | undefined>
  }>
}

const WIDTH = 960
const LEFT = 230
const RIGHT = 880
const TOP = 80
const BAR = 13
const GAP = 12

/** Draws horizontal bars from zero, each with its figure. */
export const plotBars = ({ groups, series, title }: BarPlot): string => {
  const most = Math.max(1, ...groups.flatMap(({ values }) => values.map((value) => value ?? 0)))
  const widthOf = (value: number) => (value / most) * (RIGHT - LEFT)
  const groupHeight = series.length * BAR + GAP
  const bottom = TOP + groups.length * groupHeight
  const drawn = groups.flatMap(({ name, values }, index) => {
    const top = TOP + index * groupHeight
    return [
      label({ x: LEFT - 10, y: top + (series.length * BAR) / 2 + 4 }, name, "end"),
      ...values.flatMap((value, of) => {
        if (value == null) return []
        const y = top + of * BAR
        const end = LEFT + widthOf(value)
        return [
          box({ x: LEFT, y }, widthOf(value), BAR - 2, colourOf(of)),
          label({ x: end + 5, y: y + BAR - 3 }, value.toLocaleString("en"), "start")
        ]
      })
    ]
  })
  const axis = rule({ x: LEFT, y: TOP - 6 }, { x: LEFT, y: bottom - GAP + 6 })
  const names = series.length < 2 ? [] : [legend({ x: LEFT, y: 56 }, series)]
  return drawing(title, WIDTH, bottom + 10, [...names, axis, ...drawn])
}
