import { Effect, Exit } from "effect"

interface Turn<A, E> {
  readonly questions: Set<ReadonlyArray<string>>
  readonly callers: Array<(answer: Effect.Effect<ReadonlyMap<string, A>, E>) => void>
}

/**
 * Shares one question among all callers of a turn of the event loop. It is asked after the last of them has asked, so no
 * caller gets an answer that is older than its own question.
 */
export const askedByTurn = <A, E>(
  ask: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<A>, E>
): ((keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, A>, E>) => {
  let current: Turn<A, E> | undefined
  const end = (turn: Turn<A, E>) => {
    current = undefined
    const keys = [...new Set([...turn.questions].flat())]
    Effect.runCallback(ask(keys), {
      onExit: (exit) => {
        const answer = Exit.map(exit, (answers) => new Map(keys.map((key, at) => [key, answers[at]!])))
        for (const resume of turn.callers) resume(answer)
      }
    })
  }
  const begin = () => {
    const turn: Turn<A, E> = { questions: new Set(), callers: [] }
    // Immediates run once every request that has arrived by now has been read from its socket.
    setImmediate(end, turn)
    return turn
  }
  return (keys) =>
    Effect.callback((resume) => {
      current ??= begin()
      current.questions.add(keys)
      current.callers.push(resume)
    })
}
