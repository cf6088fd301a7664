import { createClient } from "@holdfast/client-sdk"
import { type VerifyReport, verifyText } from "@holdfast/server"
import { type Progress, showProgress } from "../progress.ts"
import { audit } from "../shop/audit.ts"
import { gatherCrowd } from "./crowd.ts"
import { type Fact, factsText, proveSale } from "./proof.ts"
import { openSale, payAll, race, type SaleSize } from "./sale.ts"
import { findTarget } from "./target.ts"

interface DemoOptions extends SaleSize {
  readonly json: boolean
}

/** The result of a demo, as `--json` prints it. */
interface DemoReport {
  readonly ok: boolean
  readonly raceMs: number
  readonly requests: number
  readonly facts: ReadonlyArray<Fact>
  /** Absent when the server's database is not known. */
  readonly verify: VerifyReport | undefined
}

/** Holds the sale, proves it and prints the report. The exit code is 1 when the proof fails. */
export const run = async (options: DemoOptions): Promise<number> => {
  const progress = showProgress()
  try {
    const report = await demo(options, progress)
    console.log(options.json ? JSON.stringify(report) : reportText(report))
    return report.ok ? 0 : 1
  } finally {
    progress.stop()
  }
}

const demo = async (options: SaleSize, progress: Progress): Promise<DemoReport> => {
  const target = findTarget(process.env)
  const admin = createClient({ url: target.url, auth: target.admin, timeoutMs: 120_000 })
  progress.note(
    `${options.users} users race on ${target.url} for ${options.coupons} coupons and ${options.units} units`
  )
  const racers = await gatherCrowd(target, options.users, progress)
  const sale = await openSale(admin, options)
  const startedAt = performance.now()
  const outcomes = await race(racers, sale, progress)
  const raceMs = Math.round(performance.now() - startedAt)
  const paid = await payAll(admin, racers, outcomes, progress)
  progress.stop()
  const facts = await proveSale(options, admin, sale, outcomes, paid)
  const { stores } = target
  const verify = stores === undefined ? undefined : await audit(stores.mysqlUrl, stores.redisUrl)
  const ok = facts.every(({ expected, found }) => expected === found) && (verify?.ok ?? true)
  return { ok, raceMs, requests: outcomes.length * 4, facts, verify }
}

const reportText = ({ facts, ok, raceMs, requests, verify }: DemoReport): string => {
  const books =
    verify === undefined
      ? "The books were not audited: set HOLDFAST_MYSQL_URL to the server's database."
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
    ok ? NEXT : HOW_TO_REPORT
  ].join("\n\n")
}

const NEXT = `Next:
  npm run demo -- --users 3000 --coupons 10 --units 5    a tighter sale
  npm run verify                                         the audit alone
  npm run replay -- FILE.csv.gz                          real invoices instead of a made-up crowd`

const HOW_TO_REPORT =
  "This is a bug. npm run verify -- --json lists every fault with its rows; the server's log has the rest."
