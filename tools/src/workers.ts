/**
 * Works on all items, `workers` at a time, in their order. The first failure, or the signal, ends it: nothing new is
 * begun then, what is under way is waited for, and the promise rejects.
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
