import { FetchFailure, type FetchResponse } from "./responses.ts"

/** The largest answer that is read: a page of a hundred large orders is a fiftieth of it. */
const ANSWER_BYTES = 16 * 1024 * 1024

/** The largest event of a subscription that is read. */
const EVENT_BYTES = 1024 * 1024

/** A body that announces at most this much is read at once. Compressed, it may still become a thousand times as large. */
const SMALL_BYTES = 16 * 1024

const tooLarge = (maximumBytes: number) =>
  new FetchFailure({
    reason: "unexpected-response",
    maybeSent: true,
    retryable: false,
    cause: new Error(`the answer is larger than ${maximumBytes} bytes`)
  })

/** Reads a body as text, up to a limit. React Native has no streams: there the text is measured after it was read. */
export const boundedText = async (response: FetchResponse, maximumBytes = ANSWER_BYTES): Promise<string> => {
  const { body, headers } = response
  const announced = Number(headers.get("content-length") ?? Number.NaN)
  if (announced > maximumBytes) throw tooLarge(maximumBytes)
  if (announced <= SMALL_BYTES || typeof body?.getReader !== "function") {
    const text = await response.text()
    if (text.length > maximumBytes) throw tooLarge(maximumBytes)
    return text
  }
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let bytes = 0
  let text = ""
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    bytes += chunk.value.length
    if (bytes > maximumBytes) {
      void reader.cancel().catch(() => undefined)
      throw tooLarge(maximumBytes)
    }
    text += decoder.decode(chunk.value, { stream: true })
  }
  return text + decoder.decode()
}

const LINE_FEED = 10

/** The index after the last blank line, which ends an event; -1 if there is none. */
const endOfLastEvent = (chunk: Uint8Array): number => {
  for (let index = chunk.length - 1; index > 0; index -= 1) {
    if (chunk[index] !== LINE_FEED) continue
    const before = chunk[index - 1] === 13 ? index - 2 : index - 1
    if (chunk[before] === LINE_FEED) return index + 1
  }
  return -1
}

/** Passes a stream of events on, and fails when one of them is too large: its reader keeps it until it is complete. */
export const boundedEvents = (onTooLarge: (failure: FetchFailure) => void) => {
  let bytes = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      const end = endOfLastEvent(chunk)
      bytes = end < 0 ? bytes + chunk.length : chunk.length - end
      if (bytes <= EVENT_BYTES) return controller.enqueue(chunk)
      const failure = tooLarge(EVENT_BYTES)
      onTooLarge(failure)
      controller.error(failure)
    }
  })
}
