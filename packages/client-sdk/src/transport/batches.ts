interface Bounds<A> {
  readonly maxItems: number
  /** Of all items together. */
  readonly maxSize: number
  readonly sizeOf: (item: A) => number
  readonly send: (items: ReadonlyArray<A>) => void
}

/** What is added in one turn of the event loop is sent together, in as few batches as the bounds allow. */
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
