import { Effect, Stream } from "effect"
import { expect, test } from "vitest"
import { createClient } from "./index.ts"
import { encodedProduct } from "./testing/fixtures.ts"
import { startWireServer } from "./testing/wire-server.ts"

/** Seven products in pages of `limit`; the cursor is the index of the next product. */
const startCatalogue = () =>
  startWireServer({
    "products.page": ({ input }) => {
      const { cursor = "0", limit = 3 } = input as { cursor?: string; limit?: number }
      const start = Number(cursor)
      const items = ["A", "B", "C", "D", "E", "F", "G"].slice(start, start + limit).map(encodedProduct)
      return start + limit < 7 ? { items, nextCursor: String(start + limit) } : { items }
    }
  })

test("`pages` iterates over all pages", async () => {
  await using server = await startCatalogue()
  const sizes: Array<number> = []
  for await (const page of createClient({ url: server.url }).products.pages({ limit: 3 }))
    sizes.push(page.items.length)
  expect(sizes).toEqual([3, 3, 1])
})

test("`items` starts at a cursor and fetches each page only when it is needed", async () => {
  await using server = await startCatalogue()
  const client = createClient({ url: server.url })
  const seen: Array<string> = []
  for await (const product of client.products.items({ limit: 2, cursor: "2" })) {
    seen.push(product.sku)
    if (seen.length === 3) break
  }
  expect(seen).toEqual(["C", "D", "E"])
  expect(server.calls).toHaveLength(2)
})

test("`items` without an input iterates over everything", async () => {
  await using server = await startCatalogue()
  const seen: Array<string> = []
  for await (const { sku } of createClient({ url: server.url }).products.items()) seen.push(sku)
  expect(seen.join("")).toBe("ABCDEFG")
})

test("in the Effect style, pages and items are streams with the errors of their procedure", async () => {
  await using server = await startCatalogue()
  const { effect } = createClient({ url: server.url })
  const three = effect.products.items({ limit: 2 }).pipe(Stream.take(3), Stream.runCollect)
  expect((await Effect.runPromise(three)).map(({ sku }) => sku)).toEqual(["A", "B", "C"])
  expect(server.calls).toHaveLength(2)
  const sizes = effect.products.pages({ limit: 3 }).pipe(
    Stream.runFold(
      () => "",
      (text, page) => text + page.items.length
    )
  )
  expect(await Effect.runPromise(sizes)).toBe("331")
  const wrong = effect.products.pages({ limit: 0 }).pipe(
    Stream.runDrain,
    Effect.catchTag("InvalidInput", ({ issues }) => Effect.succeed(issues.map(({ path }) => path)))
  )
  expect(await Effect.runPromise(wrong)).toEqual(["limit"])
})
