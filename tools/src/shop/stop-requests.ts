const PARENT_CHECK_MS = 500

/**
 * Hears of every request to stop: Ctrl-C, SIGTERM, and the death of the process that `npm run` put above this one. Killed
 * with SIGKILL, that one can pass nothing on, and this one would live on and keep its data directory.
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
