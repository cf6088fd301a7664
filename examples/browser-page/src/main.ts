// Shows the catalogue and orders a product when it is clicked. `?server=` selects the server (default: port 3000).
import { createClient, isHoldfastError, OutOfStock, type Product } from "@holdfast/client-sdk"

const url = new URLSearchParams(location.search).get("server") ?? "http://localhost:3000"
const shop = createClient({ url })
const list = document.querySelector("#products")!
const status = document.querySelector("#status")!

const buy = async (sku: string): Promise<string> => {
  try {
    const order = await shop.orders.create({ lines: [{ sku, quantity: 1 }] })
    return `Ordered ${sku} for ${order.totalMinor}, to be paid by ${order.expiresAt.toLocaleTimeString()}`
  } catch (error) {
    if (error instanceof OutOfStock) return `${error.sku} is sold out`
    if (isHoldfastError(error)) return error.message
    throw error
  }
}

const show = ({ name, priceMinor, sku }: Product): void => {
  const button = document.createElement("button")
  button.textContent = `${name}: ${priceMinor}`
  button.dataset["sku"] = sku
  button.addEventListener("click", () => {
    void buy(sku).then((text) => {
      status.textContent = text
    })
  })
  const item = document.createElement("li")
  item.append(button)
  list.append(item)
}

// Every visit registers a new customer. The client stores the session of the login.
const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() }
await shop.auth.register(credentials)
await shop.auth.login(credentials)
for await (const product of shop.products.items({ limit: 20 })) show(product)
status.textContent = "Ready"
