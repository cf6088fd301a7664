import type { App } from "../src/app.ts"
import type { Job } from "../src/platform/jobs/runner.ts"
import type { RunningServer } from "../src/server.ts"
import type { RemoteServer } from "./processes/server-process.ts"

/** Runs a job once, on a server whose own jobs are off, so that the test decides when it runs. */
export const runJob = (server: RunningServer | RemoteServer, job: Job<App>): Promise<number> =>
  "runtime" in server ? server.runtime.runPromise(job.run) : server.runJob(job.name)

/** Runs the jobs in turn until all of them find nothing to do. Returns how many items they handled. */
export const drain = async (
  server: RunningServer | RemoteServer,
  ...jobs: ReadonlyArray<Job<App>>
): Promise<number> => {
  let total = 0
  for (;;) {
    let handled = 0
    for (const job of jobs) handled += await runJob(server, job)
    if (handled === 0) return total
    total += handled
  }
}
