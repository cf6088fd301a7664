/**
 * Calls `work` for each item in order, for at most `workers` items at a time. After the first failure, or an abort, it
 * starts no further item, waits for those in progress and rejects.
 */
export const forEachOf = async <A>(
  items: ReadonlyArray<A>,
  workers: number,
  work: (item: A) => Promise<void>,
  signal?: AbortSignal
): Promise<void> => {
  let next = 0
  let hasFailed = false
  const worker = async () => {
    while (next < items.length && !hasFailed) {
      signal?.throwIfAborted()
      const item = items[next++]!
      try {
        await work(item)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: workers }, worker))
  const failed = ends.find((end) => end.status === "rejected")
  if (failed !== undefined) throw failed.reason
}
