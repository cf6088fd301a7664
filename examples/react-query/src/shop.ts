import { createClient, type OrdersCreateInput, type ProductsPageOutput } from "@holdfast/client-sdk"
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query"

/** The client of the whole application. */
export const shop = createClient({
  url: new URLSearchParams(location.search).get("server") ?? "http://localhost:3000"
})

/** The catalogue, page by page. When React Query cancels a query, the server's work is cancelled as well. */
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
    // The client already retries what is safe to retry.
    retry: false
  })

/** Places orders. Each call gets its own idempotency key: a lost answer is one order, a double click is two. */
export const useOrder = () => {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (input: OrdersCreateInput) => shop.orders.create(input),
    onSettled: () => queries.invalidateQueries({ queryKey: ["products"] }),
    retry: false
  })
}
