/** Rows as text in aligned columns, the first one to the left. */
export const textTable = (rows: ReadonlyArray<ReadonlyArray<string | number>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? String(cell).padEnd(widths[column]!) : String(cell).padStart(widths[column]!)
        )
        .join("  ")
    )
    .join("\n")
}
