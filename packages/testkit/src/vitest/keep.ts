import { appendFileSync, existsSync, readFileSync } from "node:fs"
import type { RedisService, SqlService } from "../services/index.ts"

/** A worker's database, while one test uses it. */
export interface Borrowed<Fixture> {
  readonly fixture: Fixture
  readonly giveBack: () => void
  /** Leaves the database as it is, and never hands it out again. */
  readonly keep: (test: string) => Promise<void>
}

/** Whether the data of failed tests are kept: `HOLDFAST_KEEP=1`. */
const keepsFailures = () => !["", "0", "false", undefined].includes(process.env["HOLDFAST_KEEP"])

/** How long the data of failed tests are kept. */
export const KEPT_SECONDS = 3_600

/** Ends a test's use of its database, and keeps it if the test failed and `HOLDFAST_KEEP` is set. */
export async function giveBackOrKeep(
  borrowed: Borrowed<unknown> | undefined,
  { name, result }: { readonly name: string; readonly result?: { readonly state: string } }
): Promise<void> {
  if (keepsFailures() && result?.state === "fail") await borrowed?.keep(name)
  else borrowed?.giveBack()
}

/** Records a kept database for the process that stops the servers. */
export const noteKept = (keptFile: string, line: string): void => appendFileSync(keptFile, `${line}\n`)

/** Stops the servers, or keeps them for an hour and says so, when they hold data of failed tests. */
export async function stopOrKeep(
  services: { readonly sql?: SqlService; readonly redis?: RedisService; stop(): Promise<void> },
  keptFile: string,
  say: (line: string) => void
): Promise<void> {
  const kept = existsSync(keptFile) ? readFileSync(keptFile, "utf8").trim() : ""
  if (kept === "") return services.stop()
  const pids = await Promise.all([services.sql?.outlive(KEPT_SECONDS), services.redis?.outlive(KEPT_SECONDS)])
  const holding = pids.filter((pid) => pid !== undefined)
  say(kept)
  if (holding.length > 0)
    say(`The servers stay for ${KEPT_SECONDS / 60} minutes, or until: kill ${holding.join(" ")}`)
}
