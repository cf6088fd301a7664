/** The figures as text for people. */
export const resultText = (result: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(result, null, 2)
