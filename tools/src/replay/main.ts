// npm run replay: replays real invoices through the client, over HTTP, against real stores, then proves the books.
import { verifyText } from "@holdfast/server"
import { onStopRequest } from "../shop/stop-requests.ts"
import { type Arguments, parseArguments, USAGE, UsageError } from "./arguments.ts"
import { textOf } from "./decimal.ts"
import { readInvoiceFile } from "./invoice-file.ts"
import { makePlan } from "./plan.ts"
import { showProgress, type ShownProgress } from "./progress.ts"
import { proveReplay, readBooks } from "./proof.ts"
import { makeReport, type ReplayReport, reportText } from "./report.ts"
import { runPlan } from "./run.ts"
import { openShop } from "./shop.ts"

/** Names a replay: the same file, factor and seed go on where they were. */
const runIdOf = (fileHash: string, { seed, stockFactor }: Arguments): string =>
  `${fileHash.slice(0, 12)}_f${textOf(stockFactor).replace(".", "p")}_s${seed}`

const replay = async (
  options: Arguments,
  progress: ShownProgress,
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

/** The first request stops in good order, the second one at once. Nothing is lost either way. */
const stopOnRequest = (stop: AbortController, note: (line: string) => void): void =>
  onStopRequest(() => {
    if (stop.signal.aborted) process.exit(INTERRUPTED)
    note("stopping; the same command goes on from here")
    stop.abort(new Interrupted())
  })

class Interrupted extends Error {
  override readonly name = "Interrupted"
}

const main = async (): Promise<number> => {
  const options = parseArguments(process.argv.slice(2))
  if (options === "help") {
    console.log(USAGE)
    return 0
  }
  const progress = showProgress()
  const stop = new AbortController()
  stopOnRequest(stop, progress.note)
  const report = await replay(options, progress, stop)
  console.log(options.json ? JSON.stringify(report) : reportText(report, verifyText(report.verify)))
  return report.verify.ok ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  if (error instanceof Interrupted) process.exitCode = INTERRUPTED
  else {
    console.error(`replay: ${error instanceof Error ? error.message : String(error)}`)
    if (error instanceof UsageError) console.error(`\n${USAGE}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
