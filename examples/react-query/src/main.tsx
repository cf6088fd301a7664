import { OutOfStock } from "@holdfast/client-sdk"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { createRoot } from "react-dom/client"
import { shop, useOrder, useProducts } from "./shop.js"

const Status = ({ error, orderedMinor }: { error: Error | null; orderedMinor: number | undefined }) => {
  if (error instanceof OutOfStock) return <p role="status">{`${error.sku} is sold out`}</p>
  if (error !== null) return <p role="status">{error.message}</p>
  return <p role="status">{orderedMinor === undefined ? "Ready" : `Ordered for ${orderedMinor}`}</p>
}

const Catalogue = () => {
  const products = useProducts()
  const order = useOrder()
  if (products.isPending) return <p>Loading</p>
  if (products.isError) return <p role="alert">{products.error.message}</p>
  return (
    <>
      <ul>
        {products.data.pages.flatMap(({ items }) =>
          items.map(({ name, priceMinor, sku }) => (
            <li key={sku}>
              <button data-sku={sku} onClick={() => order.mutate({ lines: [{ sku, quantity: 1 }] })}>
                {`${name}: ${priceMinor}`}
              </button>
            </li>
          ))
        )}
      </ul>
      {products.hasNextPage && <button onClick={() => void products.fetchNextPage()}>More</button>}
      <Status error={order.error} orderedMinor={order.data?.totalMinor} />
    </>
  )
}

// Every visit registers a new customer. The client stores the session of the login.
const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() }
await shop.auth.register(credentials)
await shop.auth.login(credentials)
createRoot(document.querySelector("#root")!).render(
  <QueryClientProvider client={new QueryClient()}>
    <Catalogue />
  </QueryClientProvider>
)
