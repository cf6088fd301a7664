/** The contents of a timeline: bars in lanes, over an axis of events in the order in which they happened. */
export interface Timeline {
  readonly title: string
  /** What is wrong, one item per line. */
  readonly summary: ReadonlyArray<string>
  readonly bars: ReadonlyArray<Bar>
  readonly marks: ReadonlyArray<TimelineMark>
  /** A text below the lanes: a heading and its lines. */
  readonly order?: { readonly heading: string; readonly lines: ReadonlyArray<string> }
  /** The number of operations omitted to keep it readable. */
  readonly omitted: number
  /** What the numbers on the bars mean. Default: positions in the legal order. */
  readonly legend?: string
  /** Default 4.2. */
  readonly columnWidthRem?: number
}

/** One operation or step. */
export interface Bar {
  readonly lane: string
  readonly label: string
  readonly fromNs: number
  /** Infinity when it never ended. */
  readonly toNs: number
  /** A number on the bar, from 1; see `legend`. A bar without one is drawn dashed. */
  readonly position?: number
  /** `illegal`: the operation to blame. `involved`: one that it contradicts. */
  readonly emphasis?: "illegal" | "involved"
}

/** A fault or another event, drawn as a vertical line. */
export interface TimelineMark {
  readonly label: string
  readonly atNs: number
  readonly lane?: string
}
