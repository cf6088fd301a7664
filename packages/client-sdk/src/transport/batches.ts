interface Bounds<A> {
  readonly maxItems: number
  /** The limit of the sum of the items' sizes. */
  readonly maxSize: number
  readonly sizeOf: (item: A) => number
  readonly send: (items: ReadonlyArray<A>) => void
}

/** Collects the items that are added in one turn of the event loop and sends them in as few batches as possible. */
export const makeBatches = <A>({ maxItems, maxSize, send, sizeOf }: Bounds<A>) => {
  let batch: Array<A> = []
  let size = 0

  const flush = () => {
    const items = batch
    batch = []
    size = 0
    if (items.length > 0) send(items)
  }

  return {
    add: (item: A): void => {
      const itemSize = sizeOf(item)
      if (batch.length >= maxItems || size + itemSize > maxSize) flush()
      if (batch.length === 0) setTimeout(flush)
      batch.push(item)
      size += itemSize
    }
  }
}
