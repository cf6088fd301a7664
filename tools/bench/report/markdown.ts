type Cell = string | number | null | undefined

/** A table in Markdown: the first column to the left, the others to the right. Unknown figures are dashes. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): string =>
  [
    row(head),
    `|${head.map((_, column) => (column === 0 ? "---" : "---:")).join("|")}|`,
    ...rows.map((cells) => row(cells.map(textOf)))
  ].join("\n")

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** A figure as it is written in a text. */
export const textOf = (cell: Cell): string => {
  if (cell == null) return "–"
  return typeof cell === "number" ? cell.toLocaleString("en") : cell
}

export const image = (name: string, description: string): string =>
  `![${description}](performance/${name}.svg)`

export const yesOrNo = (is: boolean): string => (is ? "yes" : "**no**")

/** Parts of a page, with an empty line between them. */
export const paragraphs = (...parts: ReadonlyArray<string | undefined>): string =>
  parts.filter((part) => part !== undefined).join("\n\n")
