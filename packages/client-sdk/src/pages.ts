import type { Procedure } from "@holdfast/domain"

interface Page {
  readonly items: ReadonlyArray<unknown>
  readonly nextCursor?: string
}

type FetchPage = (input: object) => Promise<Page>

/** Whether the procedure returns pages, which is the case if its input has a `cursor`. */
export const isPaged = ({ input }: Procedure): boolean =>
  "fields" in input && typeof input.fields === "object" && input.fields !== null && "cursor" in input.fields

/** The names of a paged procedure's two additional methods: `pages` and `items` for `page`. */
export const pagedNames = (name: string) =>
  name === "page" ? { pages: "pages", items: "items" } : { pages: `${name}Pages`, items: `${name}Items` }

/** Iterates over the pages from the input's cursor on, fetching each page when the loop reaches it. */
export async function* pages(
  fetchPage: FetchPage,
  input: object = {}
): AsyncGenerator<Page, void, undefined> {
  let page = await fetchPage(input)
  yield page
  while (page.nextCursor !== undefined) {
    page = await fetchPage({ ...input, cursor: page.nextCursor })
    yield page
  }
}

/** Iterates over the items of all pages. */
export async function* items(
  fetchPage: FetchPage,
  input: object = {}
): AsyncGenerator<unknown, void, undefined> {
  for await (const page of pages(fetchPage, input)) yield* page.items
}

/** The most items that an array may take: whoever needs more reads them one by one. */
const ARRAY_ITEMS = 10_000

/** The first items as an array. */
export const itemsToArray = async <Item>(
  all: AsyncIterable<Item>,
  { limit }: { readonly limit: number }
): Promise<ReadonlyArray<Item>> => {
  if (!Number.isInteger(limit) || limit < 1 || limit > ARRAY_ITEMS)
    throw new RangeError(`limit must be a whole number from 1 to ${ARRAY_ITEMS}`)
  const taken: Array<Item> = []
  for await (const item of all) {
    taken.push(item)
    if (taken.length === limit) break
  }
  return taken
}
