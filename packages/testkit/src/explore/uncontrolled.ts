import { normaliseLabel } from "./labels.ts"

/** What an exploration tells about a step that came without a reply or another client to cause it. */
export const ownAccord = (client: number, label: string): string =>
  `client ${client} sent "${normaliseLabel(label)}" by itself, so a timer or other work decides when, not the schedule`

/** What an exploration tells when a longer wait shows other steps. */
export const dependsOnPatience = (patienceMs: number): string =>
  `a client sends something after about ${patienceMs} ms, so its order depends on a timer or other work (patienceMs)`

/** What an exploration tells about a step that came when no schedule was running. */
export const afterTheEnd = (client: number, label: string): string =>
  `client ${client} sent "${normaliseLabel(label)}" after its schedule had ended; \`run\` must await all its work`

/** What an exploration tells about a command that the server executes in several steps. */
export const severalStatements = (client: number, label: string): ReadonlyArray<string> => {
  const bare = label.replace(/'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`/g, "?")
  if (/;\s*\S/.test(bare))
    return [
      `client ${client} sends several statements in one command, "${normaliseLabel(label)}", and what others do between them is not explored`
    ]
  if (/^CALL\b/i.test(bare))
    return [
      `client ${client} calls a procedure, "${normaliseLabel(label)}", and what others do between its statements is not explored`
    ]
  return []
}
