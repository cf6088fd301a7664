import type { ServerEvidence, ServerIdentity } from "./snapshot.ts"

/** How often a command must have run: `true` at least once, `false` never, a number exactly that often, or bounds. */
export type Amount =
  | boolean
  | number
  | { readonly atLeast?: number; readonly atMost?: number; readonly exactly?: number }

/**
 * Amounts by the server's names of commands. Redis: the names of `INFO commandstats` ("evalsha", "client|list"; "client"
 * counts all its subcommands). SQL: the names of the `Com_...` counters ("commit", "update", "stmt_execute"), and
 * counters such as "handler_commit".
 */
export type ExpectedCommands = Readonly<Record<string, Amount>>

/** The commands that each server must have run. */
export interface ExpectedEvidence {
  readonly redis?: ExpectedCommands
  readonly sql?: ExpectedCommands
}

/** The evidence of each observed server. */
export interface Watched {
  readonly redis?: ServerEvidence
  readonly sql?: ServerEvidence
}

/** What the evidence does not show, one line each; empty when it shows everything. */
export const missingEvidence = (watched: Watched, expected: ExpectedEvidence): ReadonlyArray<string> =>
  (["redis", "sql"] as const).flatMap((server) => {
    const commands = expected[server]
    if (commands === undefined) return []
    const seen = watched[server]
    if (seen === undefined) return [`${server}: no such server was watched`]
    const missing = Object.entries(commands).flatMap(([name, amount]) => {
      const ran = countOf(seen, name)
      return fits(ran, amount)
        ? []
        : [`${server} ${name}: expected ${describeAmount(amount)}, it ran ${times(ran)}`]
    })
    return missing.length === 0 ? [] : [...missing, `  ${describeServer(seen)}`]
  })

const countOf = ({ commands }: ServerEvidence, name: string): number => {
  const wanted = name.toLowerCase()
  return Object.entries(commands)
    .filter(([command]) => command === wanted || command.startsWith(`${wanted}|`))
    .reduce((sum, [, count]) => sum + count, 0)
}

const boundsOf = (amount: Amount): { readonly atLeast: number; readonly atMost: number } => {
  if (amount === true) return { atLeast: 1, atMost: Infinity }
  if (amount === false) return { atLeast: 0, atMost: 0 }
  if (typeof amount === "number") return { atLeast: amount, atMost: amount }
  const { atLeast = 0, atMost = Infinity, exactly } = amount
  return exactly === undefined ? { atLeast, atMost } : { atLeast: exactly, atMost: exactly }
}

const fits = (ran: number, amount: Amount): boolean => {
  const { atLeast, atMost } = boundsOf(amount)
  return ran >= atLeast && ran <= atMost
}

const describeAmount = (amount: Amount): string => {
  const { atLeast, atMost } = boundsOf(amount)
  if (atLeast === atMost) return `exactly ${atLeast}`
  if (atMost === Infinity) return `at least ${atLeast}`
  return atLeast === 0 ? `at most ${atMost}` : `${atLeast} to ${atMost}`
}

const times = (count: number) => (count === 1 ? "once" : `${count} times`)

const describeServer = ({ identity, restarted, commands }: ServerEvidence): string => {
  const busiest = Object.entries(commands).toSorted(([, left], [, right]) => right - left)
  const saw = busiest.slice(0, 12).map(([name, count]) => `${name} ${count}`)
  const since = restarted ? ", restarted meanwhile," : ""
  return `${describeIdentity(identity)}${since} saw: ${saw.join(", ") || "no command at all"}`
}

const describeIdentity = ({ kind, version, host, port, pid, containerId }: ServerIdentity): string => {
  const process =
    containerId === undefined ? (pid === undefined ? "" : `, pid ${pid}`) : `, container ${containerId}`
  return `${kind} ${version} at ${host}:${port}${process}`
}
