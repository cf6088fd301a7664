import { contract, type InputOf, pathsOf, type Procedure } from "@holdfast/domain"

/** The response: a success, or an error with its declared tag or else tRPC's code. */
export type Answer<P extends Procedure> =
  | { readonly ok: true; readonly value: P["output"]["Encoded"]; readonly status: number }
  | {
      readonly ok: false
      readonly tag: string
      readonly error: Record<string, unknown>
      readonly status: number
      readonly body: string
    }

export interface CallOptions {
  readonly token?: string | undefined
  readonly idempotencyKey?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

const paths = pathsOf(contract)

/**
 * Calls a procedure like any HTTP client, without the SDK's retries and validation. So a test sees every response of
 * the server, also to input that the SDK would refuse.
 */
export const makeRawClient =
  (url: string) =>
  async <P extends Procedure>(
    procedure: P,
    input: InputOf<P>,
    options: CallOptions = {}
  ): Promise<Answer<P>> => {
    const path = `${url}/trpc/${paths.get(procedure)}`
    const headers = {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.idempotencyKey === undefined ? {} : { "idempotency-key": options.idempotencyKey }),
      ...options.headers
    }
    const signal = options.signal ?? null
    const response =
      procedure.kind === "query"
        ? await fetch(`${path}?input=${encodeURIComponent(JSON.stringify(input))}`, { headers, signal })
        : await fetch(path, {
            method: "POST",
            headers: { "content-type": "application/json", ...headers },
            body: JSON.stringify(input),
            signal
          })
    const body = await response.text()
    return answerOf(response.status, body)
  }

const answerOf = <P extends Procedure>(status: number, body: string): Answer<P> => {
  const parsed = JSON.parse(body) as {
    readonly result?: { readonly data: P["output"]["Encoded"] }
    readonly error?: { readonly data: { readonly code: string; readonly domain?: { readonly _tag: string } } }
  }
  if (parsed.result !== undefined) return { ok: true, value: parsed.result.data, status }
  const domain = parsed.error?.data.domain
  return {
    ok: false,
    tag: domain?._tag ?? parsed.error?.data.code ?? "none",
    error: { ...domain },
    status,
    body
  }
}

export type RawClient = ReturnType<typeof makeRawClient>
