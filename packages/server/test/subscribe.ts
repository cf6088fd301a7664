import { contract, type InputOf, pathsOf, type Procedure } from "@holdfast/domain"

/** One event of a stream, as tRPC sends it; `data` is decoded JSON. */
export interface StreamEvent {
  readonly event: string
  readonly data: unknown
  readonly id: string | undefined
}

const paths = pathsOf(contract)

/**
 * Subscribes like any client of server-sent events, without the SDK, and reads the events one by one.
 * `lastEventId` is the last event that an earlier connection received.
 */
export const subscribe = <P extends Procedure>(
  url: string,
  procedure: P,
  input: InputOf<P>,
  token?: string,
  connectionParams?: Readonly<Record<string, string>>,
  lastEventId?: string
) => {
  const query = new URLSearchParams({ input: JSON.stringify(input) })
  if (connectionParams !== undefined) query.set("connectionParams", JSON.stringify(connectionParams))
  const controller = new AbortController()
  const response = fetch(`${url}/trpc/${paths.get(procedure)}?${query.toString()}`, {
    headers: {
      accept: "text/event-stream",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
    },
    signal: controller.signal
  })
  const events = readEvents(response)
  return {
    /** The next event; `undefined` when the stream has ended. */
    next: async (): Promise<StreamEvent | undefined> => (await events.next()).value ?? undefined,
    /** All further events, until the server ends the stream. */
    all: async (): Promise<ReadonlyArray<StreamEvent>> => {
      const rest: Array<StreamEvent> = []
      for await (const event of events) rest.push(event)
      return rest
    },
    close: () => controller.abort()
  }
}

/** Events are blocks of lines that end with an empty line. Comments, pings and `connected` are skipped. */
async function* readEvents(response: Promise<Response>): AsyncGenerator<StreamEvent, void> {
  const { body } = await response
  let text = ""
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const blocks = text.split("\n\n")
    text = blocks.pop() ?? ""
    for (const block of blocks) {
      const fields = new Map(block.split("\n").map((line) => splitField(line)))
      const event = fields.get("event") ?? "message"
      if (event !== "connected" && event !== "ping" && (fields.has("data") || fields.has("event")))
        yield { event, data: JSON.parse(fields.get("data") || "null"), id: fields.get("id") }
    }
  }
}

const splitField = (line: string): readonly [string, string] => {
  const colon = line.indexOf(":")
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}
