import { layOut, type LaneLayout, type Layout, type PlacedBar } from "./layout.ts"
import { styles } from "./styles.ts"
import type { Timeline } from "./timeline.ts"

const LEGAL_ORDER = "Numbers are positions in the legal order; dashed bars are not part of it."

/** Renders a timeline as one HTML page that loads nothing and runs no script. */
export const renderTimeline = (timeline: Timeline): string => {
  const layout = layOut(timeline)
  const { title, summary, omitted, order, legend = LEGAL_ORDER, columnWidthRem = 4.2 } = timeline
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>
<style>${styles}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<p class="summary">${summary.map(escape).join("\n")}</p>
${omitted > 0 ? `<p class="faint">${omitted} operations farther away are not drawn.</p>` : ""}
<div class="scroll"><div class="chart" style="--columns:${layout.columns};--step:${columnWidthRem}rem">
${axis(layout)}
${layout.lanes.map(lane).join("\n")}
${layout.marks.map(({ column, label }) => `<div class="mark" style="--at:${column}"><span>${escape(label)}</span></div>`).join("\n")}
</div></div>
<p class="legend">A column is an event, from left to right as they happened; bars run from call to return.
${escape(legend)} A dotted end means that no answer came.</p>
${order === undefined ? "" : `<h2>${escape(order.heading)}</h2>\n<ol class="order">${order.lines.map((line) => `<li>${escape(line)}</li>`).join("\n")}</ol>`}
</body>
</html>
`
}

const axis = ({ ticks }: Layout): string =>
  `<div class="axis">${ticks.map(({ column, atNs }) => `<span style="--at:${column}">${milliseconds(atNs)}</span>`).join("")}</div>`

const lane = ({ name, rows, bars }: LaneLayout): string =>
  `<section class="lane"><h3 title="${escape(name)}">${escape(name)}</h3>` +
  `<ol style="--rows:${rows}">${bars.map(bar).join("")}</ol></section>`

const bar = (placed: PlacedBar): string => {
  const { label, position, fromColumn, toColumn, row, fromNs, toNs } = placed
  const number = position === undefined ? "" : `<b>${position}</b>`
  const end = Number.isFinite(toNs) ? milliseconds(toNs) : "no answer"
  return (
    `<li class="${classesOf(placed)}" style="--from:${fromColumn};--to:${toColumn};--at-row:${row}" ` +
    `title="${escape(`${label}\n${milliseconds(fromNs)} to ${end}`)}">${number}${escape(label)}</li>`
  )
}

const classesOf = ({ position, emphasis, toNs }: PlacedBar): string =>
  ["bar", position === undefined ? "outside" : "", Number.isFinite(toNs) ? "" : "unknown", emphasis ?? ""]
    .filter((name) => name !== "")
    .join(" ")

const milliseconds = (ns: number): string => `${(ns / 1e6).toFixed(3)} ms`

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
