import { ask } from "../shop.ts"

/** Asks Medusa; the body of an answer that is no success becomes an error. */
export type Ask = <Body>(path: string, body?: object) => Promise<Body>

/** Asks with these headers. */
export const askAs =
  (url: string, headers: Readonly<Record<string, string>> = {}): Ask =>
  async <Body>(path: string, body?: object) => {
    const answer = await ask<Body>(`${url}${path}`, { headers, ...(body === undefined ? {} : { body }) })
    if (answer.status >= 400) throw new Refused(path, answer.body as Problem)
    return answer.body
  }

interface Problem {
  readonly type?: string
  readonly message?: string
}

/** Medusa has answered with an error. */
export class Refused extends Error {
  readonly problem: Problem
  constructor(path: string, problem: Problem) {
    super(`Medusa: ${path}: ${problem.message}`)
    this.problem = problem
  }
}
