import type { Measurements } from "../measurements.ts"
import { paragraphs, table } from "../markdown.ts"

/** What the same statements cost as text and prepared. */
export const statementsSection = (measured: Measurements["statements"]): string | undefined =>
  measured === undefined
    ? undefined
    : paragraphs(
        "## Prepared statements",
        `Holdfast sends its statements as text. The same statements on one connection, in microseconds of processor time:
\`client\` is the process with the driver, without Kysely. What a prepared statement saves is little of a call at load, because
calls share statements; and a group's statements have as many texts as it can have rows, of which a connection would keep
each, while a MySQL server keeps 16,382 for all of its connections. \`npm run bench -- statements\` measures only this.`,
        table(
          ["", "text: client", "SQL", "prepared: client", "SQL", "saved %"],
          Object.entries(measured.statements).map(([name, { prepared, text }]) => [
            name,
            text.clientUs,
            text.sqlUs,
            prepared.clientUs,
            prepared.sqlUs,
            savedPercent(sumOf(text), sumOf(prepared))
          ])
        )
      )

const sumOf = ({ clientUs, sqlUs }: { readonly clientUs: number | null; readonly sqlUs: number | null }) =>
  clientUs === null || sqlUs === null ? null : clientUs + sqlUs

const savedPercent = (text: number | null, prepared: number | null): number | null =>
  text === null || prepared === null || text === 0 ? null : Math.round((1 - prepared / text) * 100)
