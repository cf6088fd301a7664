import { QueryClientProvider, useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query"
import { useSubscription } from "@trpc/tanstack-react-query"
import { createRoot } from "react-dom/client"
import { queryClient, signUp, trpc } from "./trpc.js"

const PRODUCTS_OF_A_PAGE = 2

const Balance = () => {
  const points = useQuery(trpc.points.balance.queryOptions({}))
  return <p id="balance">{points.data === undefined ? "Loading" : `${points.data.balance} points`}</p>
}

/** The stock as the server tells it: now, and after every sale of anybody. */
const Stock = ({ sku }: { sku: string }) => {
  const { data } = useSubscription(trpc.products.watchStock.subscriptionOptions({ sku }))
  return <p id="stock">{data === undefined ? "Waiting" : `${sku}: ${data.data.stock} left`}</p>
}

const Catalogue = () => {
  const products = useInfiniteQuery(
    trpc.products.page.infiniteQueryOptions(
      { limit: PRODUCTS_OF_A_PAGE },
      { getNextPageParam: ({ nextCursor }) => nextCursor }
    )
  )
  const order = useMutation(
    trpc.orders.create.mutationOptions({
      onSettled: () => queryClient.invalidateQueries(trpc.products.page.infiniteQueryFilter())
    })
  )
  const status = () => {
    // The contract declares what can go wrong, so `_tag` tells which fields there are.
    const declared = order.error?.data?.domain
    if (declared?._tag === "OutOfStock") return `only ${declared.available} of ${declared.sku} left`
    if (order.error !== null) return order.error.message
    return order.data === undefined ? "Ready" : `Ordered for ${order.data.totalMinor}`
  }
  if (products.isPending) return <p>Loading</p>
  if (products.isError) return <p role="alert">{products.error.message}</p>
  const items = products.data.pages.flatMap((page) => page.items)
  return (
    <>
      <ul>
        {items.map(({ name, priceMinor, sku, stock }) => (
          <li key={sku}>
            <button data-sku={sku} onClick={() => order.mutate({ lines: [{ sku, quantity: 1 }] })}>
              {`${name}: ${priceMinor}`}
            </button>
            <button data-all={sku} onClick={() => order.mutate({ lines: [{ sku, quantity: stock + 1 }] })}>
              more than there is
            </button>
          </li>
        ))}
      </ul>
      {products.hasNextPage && (
        <button id="more" onClick={() => void products.fetchNextPage()}>
          More
        </button>
      )}
      <p role="status">{status()}</p>
      {items[0] && <Stock sku={items[0].sku} />}
    </>
  )
}

await signUp()
createRoot(document.querySelector("#root")!).render(
  <QueryClientProvider client={queryClient}>
    <Balance />
    <Catalogue />
  </QueryClientProvider>
)
