const PARENT_CHECK_MS = 500

/**
 * Calls `stop` on Ctrl-C, on SIGTERM, and when the parent process of `npm run` dies. A parent that is killed with
 * SIGKILL forwards no signal, and this process would live on and hold its data directory.
 */
export const onStopRequest = (stop: () => void): void => {
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  if (process.env["npm_lifecycle_event"] === undefined) return
  const parent = process.ppid
  const check = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(check)
    stop()
  }, PARENT_CHECK_MS)
  check.unref()
}
