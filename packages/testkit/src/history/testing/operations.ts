import type { Operation } from "../operation.ts"

/** One line of a transcribed history: client, input, output, call, return. A pending one has no output and return. */
export type Line<Input, Output> =
  | readonly [client: string, input: Input, output: Output, calledAtNs: number, returnedAtNs: number]
  | readonly [client: string, input: Input, calledAtNs: number]

export const operationsOf = <Input, Output>(
  lines: ReadonlyArray<Line<Input, Output>>
): Array<Operation<Input, Output>> =>
  lines.map((line, id): Operation<Input, Output> => {
    if (line.length === 3) {
      const [client, input, calledAtNs] = line
      return { id, client, input, calledAtNs, outcome: { status: "unknown" } }
    }
    const [client, input, output, calledAtNs, returnedAtNs] = line
    return { id, client, input, calledAtNs, outcome: { status: "returned", output, returnedAtNs } }
  })
