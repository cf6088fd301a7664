/** Deeper than any input, and far from where a parser or a schema could run out of stack. */
export const MAXIMUM_DEPTH = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENS = new Set([0x5b, 0x7b])
const CLOSES = new Set([0x5d, 0x7d])

/** Whether a JSON text nests deeper than {@link MAXIMUM_DEPTH}. Reads it once and stops where it is too deep. */
export const isTooDeep = (json: string): boolean => {
  let depth = 0
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at)
    if (code === QUOTE) at = endOfString(json, at)
    else if (OPENS.has(code) && ++depth > MAXIMUM_DEPTH) return true
    else if (CLOSES.has(code)) depth -= 1
  }
  return false
}

/** The place of the quote that ends the string. */
const endOfString = (json: string, start: number): number => {
  for (let at = start + 1; at < json.length; at += 1) {
    const code = json.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at += 1
  }
  return json.length
}
