import { Schema, SchemaGetter } from "effect"

/** A schema of texts, and how many of them it has decoded. */
export const countedText = () => {
  let decoded = 0
  const schema = Schema.String.pipe(
    Schema.decodeTo(Schema.String, {
      decode: SchemaGetter.transform((text: string) => {
        decoded += 1
        return text
      }),
      encode: SchemaGetter.transform((text: string) => text)
    })
  )
  return { schema, decoded: () => decoded }
}
