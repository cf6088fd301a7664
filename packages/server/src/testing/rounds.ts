import type { RunningServer } from "../startServer.ts"
import type { Worker } from "../workers/Worker.ts"
import type { App } from "../features/App.ts"
import type { RemoteServer } from "./processes/ServerProcess.ts"

/** One round of a worker on a server whose own workers are off: so a test says when what happens. */
export const round = (server: RunningServer | RemoteServer, worker: Worker<App>): Promise<number> =>
  "runtime" in server ? server.runtime.runPromise(worker.round) : server.round(worker.name)

/** Rounds until there is nothing left to do. */
export const drain = async (
  server: RunningServer | RemoteServer,
  ...workers: ReadonlyArray<Worker<App>>
): Promise<number> => {
  let total = 0
  for (;;) {
    let done = 0
    for (const worker of workers) done += await round(server, worker)
    if (done === 0) return total
    total += done
  }
}
