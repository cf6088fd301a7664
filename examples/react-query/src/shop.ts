import { createClient, type OrdersCreateInput, type ProductsPageOutput } from "@holdfast/client-sdk"
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query"

export const shop = createClient({
  url: new URLSearchParams(location.search).get("server") ?? "http://localhost:3000"
})

/** The catalogue, page by page. A query that React gives up is cancelled on the server, too. */
export const useProducts = () =>
  useInfiniteQuery({
    queryKey: ["products"],
    queryFn: ({ pageParam, signal }) =>
      shop.products.page(
        { limit: 10, ...(pageParam === undefined ? {} : { cursor: pageParam }) },
        { signal }
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: ProductsPageOutput) => page.nextCursor,
    // The client repeats what is safe to repeat; a second layer of retries would only multiply them.
    retry: false
  })

/** Orders. The client makes the idempotency key, so a double click of the user is two orders, a lost reply is one. */
export const useOrder = () => {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (input: OrdersCreateInput) => shop.orders.create(input),
    onSettled: () => queries.invalidateQueries({ queryKey: ["products"] }),
    retry: false
  })
}
