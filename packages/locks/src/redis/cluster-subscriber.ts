import type { Cluster } from "ioredis"

const PING_EVERY_MS = 1_000

/**
 * Watches the connection that a cluster's client keeps inside for its subscriptions. The client gives it no time limits, so
 * one that has gone silent is closed here. The client then subscribes again through another node.
 *
 * @param onReplaced called when another connection has taken over, so that messages may be missing
 * @returns stops watching
 */
export const watchClusterSubscriber = (
  cluster: Cluster,
  answerWithinMs: number,
  onReplaced: () => void
): (() => void) => {
  let known = connectionOf(cluster)
  const look = () => {
    const connection = connectionOf(cluster)
    if (connection?.status !== "ready") return
    if (known !== connection && known !== null) onReplaced()
    known = connection
    const isSilent = setTimeout(() => connection.disconnect(), answerWithinMs).unref()
    const answered = () => clearTimeout(isSilent)
    connection.ping().then(answered, answered)
  }
  const timer = setInterval(look, PING_EVERY_MS).unref()
  return () => clearInterval(timer)
}

/** ioredis has no public way to it. */
const connectionOf = (cluster: Cluster) => cluster["subscriber"].getInstance()
