/** One colour for each series, in the order in which a plot names them. */
const colours = ["#2563eb", "#d97706", "#9ca3af", "#059669", "#7c3aed", "#dc2626"] as const

const TEXT = "#374151"
const GRID = "#e5e7eb"

export interface Point {
  readonly x: number
  readonly y: number
}

/** An SVG document with a title of its own. */
export const drawing = (title: string, width: number, height: number, parts: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"` +
      ` font-family="system-ui, sans-serif" font-size="12" fill="${TEXT}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="20" y="30" font-size="18" font-weight="600">${escaped(title)}</text>`,
    ...parts,
    "</svg>",
    ""
  ].join("\n")

/** A text that begins, is centred or ends at a point. */
export const label = ({ x, y }: Point, text: string, anchor: "start" | "middle" | "end"): string =>
  `<text x="${digits(x)}" y="${digits(y)}" text-anchor="${anchor}">${escaped(text)}</text>`

export const box = ({ x, y }: Point, width: number, height: number, colour: string): string =>
  `<rect x="${digits(x)}" y="${digits(y)}" width="${digits(width)}" height="${digits(height)}" fill="${colour}"/>`

export const rule = (from: Point, to: Point): string =>
  `<line x1="${digits(from.x)}" y1="${digits(from.y)}" x2="${digits(to.x)}" y2="${digits(to.y)}" stroke="${GRID}"/>`

/** A curve with a dot at each of its points. */
export const curve = (points: ReadonlyArray<Point>, colour: string): string =>
  [
    `<polyline fill="none" stroke="${colour}" stroke-width="1.8" points="${points
      .map(({ x, y }) => `${digits(x)},${digits(y)}`)
      .join(" ")}"/>`,
    ...points.map(({ x, y }) => `<circle cx="${digits(x)}" cy="${digits(y)}" r="3" fill="${colour}"/>`)
  ].join("\n")

const LETTER = 7

/** The names of the series beside their colours, from a point to the right. */
export const legend = ({ x, y }: Point, names: ReadonlyArray<string>): string => {
  let left = x
  return names
    .map((name, index) => {
      const entry = `${box({ x: left, y: y - 10 }, 10, 10, colourOf(index))}${label({ x: left + 15, y }, name, "start")}`
      left += 35 + name.length * LETTER
      return entry
    })
    .join("\n")
}

export const colourOf = (index: number): string => colours[index % colours.length]!

const digits = (value: number): number => Math.round(value * 100) / 100
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
