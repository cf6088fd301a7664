const LONGEST = 160

/**
 * The label of a step without identifiers, digests and timestamps, which differ from run to run. It recognises the step
 * when a schedule is repeated.
 */
export const normaliseLabel = (label: string): string => {
  const stable = label
    .replace(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi, "<uuid>")
    .replace(/\b[0-9a-f]{16,}\b/gi, "<hex>")
    .replace(/\b\d{10,}\b/g, "<number>")
  return stable.length > LONGEST ? `${stable.slice(0, LONGEST - 3)}...` : stable
}
