import { verifyText } from "@holdfast/server"
import type { BigDecimal } from "effect"
import { type Progress, showProgress } from "../progress.ts"
import { onStopRequest } from "../shop/stop-requests.ts"
import { textOf } from "./decimal.ts"
import { readInvoiceFile } from "./invoice-file.ts"
import { makePlan } from "./plan.ts"
import { proveReplay, readBooks } from "./proof.ts"
import { makeReport, type ReplayReport, reportText } from "./report.ts"
import { runPlan } from "./run.ts"
import { openShop } from "./shop.ts"

/** Runs the replay and prints its report. The exit code is 1 when a check fails, 130 when a request stopped it. */
/** The command line of a replay, parsed. */
interface ReplayOptions {
  /** The path of the invoices, CSV or CSV.GZ. */
  readonly file: string
  /** Concurrent calls. */
  readonly workers: number
  /** Initial stock as a share of the units that the orders ask for. */
  readonly stockFactor: BigDecimal.BigDecimal
  readonly seed: number
  readonly json: boolean
  /** Starts over instead of continuing an interrupted replay. */
  readonly fresh: boolean
}

export const run = async (options: ReplayOptions): Promise<number> => {
  const progress = showProgress()
  const stop = new AbortController()
  stopOnRequest(stop, progress.note)
  try {
    const report = await replay(options, progress, stop)
    console.log(options.json ? JSON.stringify(report) : reportText(report, verifyText(report.verify)))
    return report.verify.ok ? 0 : 1
  } catch (error) {
    if (error instanceof Interrupted) return INTERRUPTED
    throw error
  }
}

/** Names a replay: a later one of the same file, factor and seed continues it. */
const runIdOf = (fileHash: string, { seed, stockFactor }: ReplayOptions): string =>
  `${fileHash.slice(0, 12)}_f${textOf(stockFactor).replace(".", "p").replace("-", "m")}_s${seed}`

const replay = async (
  options: ReplayOptions,
  progress: Progress,
  stop: AbortController
): Promise<ReplayReport> => {
  progress.note(`reading ${options.file}`)
  const file = await readInvoiceFile(options.file)
  const plan = makePlan(file, options.stockFactor)
  progress.note(
    `${file.rows.length} rows: ${plan.orders.length} orders of ${plan.users.length} users, ${plan.products.length} products, ${plan.returns.length} returns`
  )
  const runId = runIdOf(file.hash, options)
  const shop = await openShop({ plan, runId, fresh: options.fresh, note: progress.note })
  shop.failed.catch((error: unknown) => stop.abort(error))
  try {
    const { seed, workers } = options
    const { signal } = stop
    const startedAt = performance.now()
    const work = await runPlan(plan, shop, { seed, workers, signal, progress })
    const books = await readBooks(plan, work.clients, { workers, signal, progress })
    progress.stop()
    const audited = await shop.audit?.()
    const checks = [...(audited?.checks ?? []), ...proveReplay(plan, work.orders, books)]
    return makeReport(plan, work, checks, performance.now() - startedAt)
  } finally {
    progress.stop()
    await shop.close()
  }
}

const INTERRUPTED = 130

/** The first request lets calls in flight finish, the second one ends the process. The replay can continue either way. */
const stopOnRequest = (stop: AbortController, note: (line: string) => void): void =>
  onStopRequest(() => {
    if (stop.signal.aborted) process.exit(INTERRUPTED)
    note("stopping; the same command continues from here")
    stop.abort(new Interrupted())
  })

class Interrupted extends Error {
  override readonly name = "Interrupted"
}
