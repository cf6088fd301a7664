/** One event of a `text/event-stream`. */
interface ServerSentEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/**
 * Parses the events of a response's body (HTML standard, section 9.2.6) without `retry`. `EventSource` is no
 * alternative: it cannot send an `authorization` header and hides the body of an error response.
 */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let rest = ""
  let fields = new Map<string, string>()
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const lines = (rest + decoder.decode(chunk.value, { stream: true })).split(/\r\n|\n|\r/)
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (line !== "") addLine(fields, line)
        else if (fields.size > 0) {
          yield {
            event: fields.get("event") ?? "message",
            data: fields.get("data") ?? "",
            id: fields.get("id")
          }
          fields = new Map()
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** A line without a colon is a field without a value; one that starts with a colon is a comment. */
const addLine = (fields: Map<string, string>, line: string): void => {
  const colon = line.indexOf(":")
  if (colon === 0) return
  const name = colon < 0 ? line : line.slice(0, colon)
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "")
  const before = name === "data" ? fields.get("data") : undefined
  fields.set(name, before === undefined ? value : `${before}\n${value}`)
}
