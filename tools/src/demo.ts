// npm run demo: a flash sale against a running server, ending in the proof. Ends with 1 when anything is off.
import { createClient } from "@holdfast/client-sdk"
import { type VerifyReport, verifyText } from "@holdfast/server"
import { type DemoOptions, parseDemoArguments, USAGE, UsageError } from "./demo/arguments.ts"
import { gatherCrowd } from "./demo/crowd.ts"
import { type Fact, factsText, proveSale } from "./demo/proof.ts"
import { openSale, payAll, race } from "./demo/sale.ts"
import { findTarget } from "./demo/target.ts"
import { showProgress, type ShownProgress } from "./replay/progress.ts"
import { audit } from "./shop/audit.ts"

interface DemoReport {
  readonly ok: boolean
  readonly raceMs: number
  readonly requests: number
  readonly facts: ReadonlyArray<Fact>
  /** Absent when nobody said where the books are. */
  readonly verify: VerifyReport | undefined
}

const demo = async (options: DemoOptions, progress: ShownProgress): Promise<DemoReport> => {
  const target = findTarget(process.env)
  const keeper = createClient({ url: target.url, auth: target.admin, timeoutMs: 120_000 })
  progress.note(
    `${options.users} users race on ${target.url} for ${options.coupons} coupons and ${options.units} units`
  )
  const racers = await gatherCrowd(target, options.users, progress)
  const sale = await openSale(keeper, options)
  const startedAt = performance.now()
  const outcomes = await race(racers, sale, progress)
  const raceMs = Math.round(performance.now() - startedAt)
  const paid = await payAll(keeper, racers, outcomes, progress)
  progress.stop()
  const facts = await proveSale(options, keeper, sale, outcomes, paid)
  const { stores } = target
  const verify = stores === undefined ? undefined : await audit(stores.mysqlUrl, stores.redisUrl)
  const ok = facts.every(({ expected, found }) => expected === found) && (verify?.ok ?? true)
  return { ok, raceMs, requests: outcomes.length * 4, facts, verify }
}

const reportText = ({ facts, ok, raceMs, requests, verify }: DemoReport): string => {
  const books =
    verify === undefined
      ? "The books were not audited: HOLDFAST_MYSQL_URL says where they are."
      : verifyText(verify)
  const verdict = ok ? "Exactly N, proven." : "Something is WRONG."
  const seconds = (raceMs / 1_000).toFixed(1)
  const rate = Math.round(requests / (raceMs / 1_000))
  return [
    `\n${requests} requests in ${seconds} s, ${rate} a second. Who won, and what the others were told:`,
    factsText(facts),
    "The books, read from the database and from Redis:",
    books,
    verdict,
    ok ? NEXT : ASK_FOR_HELP
  ].join("\n\n")
}

const NEXT = `Next:
  npm run demo -- --users 3000 --coupons 10 --units 5    a tighter sale
  npm run verify                                         the audit alone, whenever you like
  npm run replay -- FILE.csv.gz                          real invoices instead of a made-up crowd`

const ASK_FOR_HELP = `This must not happen. npm run verify -- --json lists every fault with its rows; the server's log has the rest.`

const main = async (): Promise<number> => {
  const options = parseDemoArguments(process.argv.slice(2))
  if (options === "help") {
    console.log(USAGE)
    return 0
  }
  const progress = showProgress()
  try {
    const report = await demo(options, progress)
    console.log(options.json ? JSON.stringify(report) : reportText(report))
    return report.ok ? 0 : 1
  } finally {
    progress.stop()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof UsageError) console.error(`\n${USAGE}`)
  process.exitCode = 2
}
