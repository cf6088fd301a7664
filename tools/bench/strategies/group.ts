/**
 * Makes calls share their work: all that wait when the last work is done, up to `largest`, are the next group. A lone
 * call waits for nobody.
 * @param work gives one result for each call, in order of arrival
 */
export const inTurnsOf = <A>(
  largest: number,
  work: (calls: number) => Promise<ReadonlyArray<A>>
): (() => Promise<A>) => {
  const waiting: Array<PromiseWithResolvers<A>> = []
  let isWorking = false
  const workOff = async () => {
    isWorking = true
    while (waiting.length > 0) {
      const calls = waiting.splice(0, largest)
      try {
        const results = await work(calls.length)
        calls.forEach(({ resolve }, index) => resolve(results[index]!))
      } catch (error) {
        calls.forEach(({ reject }) => reject(error))
      }
    }
    isWorking = false
  }
  return () => {
    const call = Promise.withResolvers<A>()
    waiting.push(call)
    if (!isWorking) void workOff()
    return call.promise
  }
}
