import type { PercentilePoint } from "./latencies.ts"
import type { LoadFigures } from "./report.ts"

const width = 960
const height = 440
const colours = {
  p50: "#2563eb",
  p99: "#d97706",
  max: "#9ca3af",
  failed: "#dc2626",
  service: "#059669",
  text: "#374151"
}

interface Panel {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

const timePanel: Panel = { left: 60, right: 500, top: 90, bottom: 380 }
const percentilePanel: Panel = { left: 570, right: 930, top: 90, bottom: 380 }

type Scale = (value: number) => number

/** Draws latency over time (left) and by percentile (right) on the same logarithmic axis, as an SVG document. */
export const plotLoad = (title: string, figures: LoadFigures): string => {
  const scale = latencyScale(figures)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ` font-family="system-ui, sans-serif" font-size="12" fill="${colours.text}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="20" y="30" font-size="18" font-weight="600">${escape(title)}</text>`,
    `<text x="20" y="52">${escape(subtitle(figures))}</text>`,
    timeline(figures, scale),
    percentiles(figures, scale),
    "</svg>"
  ].join("\n")
}

const subtitle = ({ ratePerSecond, durationMs, calls, latency, arrivals }: LoadFigures): string => {
  const outcomes = `${calls.succeeded} succeeded, ${calls.failed} failed, ${calls.unfinished} unfinished`
  const figures = `p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)}, max ${ms(latency.max)}`
  return `${round(ratePerSecond)}/s for ${round(durationMs / 1_000)} s (${arrivals} arrivals): ${outcomes}; ${figures}`
}

interface LatencyScale {
  readonly y: Scale
  readonly ticks: ReadonlyArray<number>
}

/** Whole decades, from below the median to above the slowest call. */
const latencyScale = ({ latency, serviceCurve }: LoadFigures): LatencyScale => {
  const fastest = Math.max(0.01, Math.min(latency.p50, serviceCurve[0]?.ms ?? latency.p50))
  const low = Math.floor(Math.log10(fastest))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(latency.max, 0.01))))
  const { top, bottom } = timePanel
  const y: Scale = (value) => {
    const decade = Math.min(Math.max(Math.log10(Math.max(value, 1e-9)), low), high)
    return bottom - ((decade - low) / (high - low)) * (bottom - top)
  }
  return { y, ticks: Array.from({ length: high - low + 1 }, (_, step) => 10 ** (low + step)) }
}

const timeline = ({ intervals, durationMs }: LoadFigures, { y, ticks }: LatencyScale): string => {
  const panel = timePanel
  const widthMs = intervals[1] === undefined ? durationMs : intervals[1].fromMs - (intervals[0]?.fromMs ?? 0)
  const x: Scale = (atMs) => panel.left + (atMs / durationMs) * (panel.right - panel.left)
  const busy = intervals.filter((interval) => interval.succeeded + interval.failed > 0)
  const line = (pick: "p50" | "p99") =>
    busy.map((one) => [x(one.fromMs + widthMs / 2), y(one[pick])] as const)
  const seconds = Array.from({ length: 5 }, (_, step) => (durationMs * step) / 4)
  return [
    frame(panel, "Latency from the intended start, over time", ticks, y),
    ...seconds.map((atMs) => label(x(atMs), panel.bottom + 18, `${round(atMs / 1_000)} s`, "middle")),
    ...busy.map((one) => dot(x(one.fromMs + widthMs / 2), y(one.max), 1.8, colours.max)),
    polyline(line("p50"), colours.p50),
    polyline(line("p99"), colours.p99),
    ...busy
      .filter((one) => one.failed > 0)
      .map((one) => dot(x(one.fromMs + widthMs / 2), panel.bottom - 4, 3, colours.failed)),
    legend(panel, [
      ["p50", colours.p50],
      ["p99", colours.p99],
      ["max", colours.max],
      ["failures", colours.failed]
    ])
  ].join("\n")
}

const percentiles = (figures: LoadFigures, { y, ticks }: LatencyScale): string => {
  const panel = percentilePanel
  const nines = (percentile: number) => -Math.log10(1 - Math.min(percentile, 99.999) / 100)
  const last = Math.max(1, ...figures.latencyCurve.map(({ percentile }) => nines(percentile)))
  const x: Scale = (percentile) => panel.left + (nines(percentile) / last) * (panel.right - panel.left)
  const line = (curve: ReadonlyArray<PercentilePoint>) =>
    curve.map(({ percentile, ms }) => [x(percentile), y(ms)] as const)
  const marks = [0, 50, 90, 99, 99.9, 99.99].filter((percentile) => nines(percentile) <= last)
  return [
    frame(panel, "Latency by percentile", ticks, y),
    ...marks.map((percentile) => label(x(percentile), panel.bottom + 18, `${percentile} %`, "middle")),
    polyline(line(figures.serviceCurve), colours.service),
    polyline(line(figures.latencyCurve), colours.p99),
    legend(panel, [
      ["from the intended start", colours.p99],
      ["from the actual start", colours.service]
    ])
  ].join("\n")
}

const frame = (panel: Panel, heading: string, ticks: ReadonlyArray<number>, y: Scale): string =>
  [
    `<text x="${panel.left}" y="${panel.top - 14}" font-weight="600">${escape(heading)}</text>`,
    ...ticks.flatMap((tick) => [
      `<line x1="${panel.left}" x2="${panel.right}" y1="${round(y(tick))}" y2="${round(y(tick))}" stroke="#e5e7eb"/>`,
      label(panel.left - 8, y(tick) + 4, ms(tick), "end")
    ])
  ].join("\n")

const legend = (panel: Panel, entries: ReadonlyArray<readonly [string, string]>): string => {
  let left = panel.left
  return entries
    .map(([name, colour]) => {
      const entry = `${dot(left + 5, panel.bottom + 40, 4, colour)}${label(left + 14, panel.bottom + 44, name, "start")}`
      left += 34 + name.length * 6.5
      return entry
    })
    .join("\n")
}

const label = (x: number, y: number, text: string, anchor: "start" | "middle" | "end"): string =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escape(text)}</text>`

const dot = (x: number, y: number, radius: number, colour: string): string =>
  `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${colour}"/>`

const polyline = (points: ReadonlyArray<readonly [number, number]>, colour: string): string =>
  `<polyline fill="none" stroke="${colour}" stroke-width="1.8" points="${points
    .map(([x, y]) => `${round(x)},${round(y)}`)
    .join(" ")}"/>`

const round = (value: number): number => Math.round(value * 100) / 100
const ms = (value: number): string => (value >= 1_000 ? `${round(value / 1_000)} s` : `${round(value)} ms`)
const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
