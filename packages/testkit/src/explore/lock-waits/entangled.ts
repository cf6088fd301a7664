/** Those who wait for each other, in a circle of any length, and those who wait for one of them. */
export const entangled = (blockersOf: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> => {
  const left = new Map(blockersOf)
  for (;;) {
    const free = [...left].filter(([, blockers]) => [...blockers].every((blocker) => !left.has(blocker)))
    if (free.length === 0) return new Set(left.keys())
    for (const [waiter] of free) left.delete(waiter)
  }
}
