import type { RunningServer } from "../src/server.ts"
import type { Job } from "../src/platform/jobs/job.ts"
import type { App } from "../src/app.ts"
import type { RemoteServer } from "./processes/server-process.ts"

/** One round of a worker on a server whose own workers are off: so a test says when what happens. */
export const round = (server: RunningServer | RemoteServer, worker: Job<App>): Promise<number> =>
  "runtime" in server ? server.runtime.runPromise(worker.round) : server.round(worker.name)

/** Rounds until there is nothing left to do. */
export const drain = async (
  server: RunningServer | RemoteServer,
  ...workers: ReadonlyArray<Job<App>>
): Promise<number> => {
  let total = 0
  for (;;) {
    let done = 0
    for (const worker of workers) done += await round(server, worker)
    if (done === 0) return total
    total += done
  }
}
