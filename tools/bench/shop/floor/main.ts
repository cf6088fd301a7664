// The floor: the least program that writes the same rows as Holdfast, over plain HTTP. It validates nothing, takes no
// lock, repeats no answer and publishes no event.
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { listening } from "../peer.ts"
import { userOfToken } from "../people.ts"
import type { Call } from "./calls.ts"
import { createCoupon, issueCoupon } from "./coupons.ts"
import { Refusal } from "./database.ts"
import { createOrder, processPayment } from "./orders.ts"
import { read } from "./reads.ts"

const mutations: Readonly<Record<string, (call: Call<never>) => Promise<object>>> = {
  "admin.createCoupon": createCoupon,
  "coupons.issue": issueCoupon,
  "orders.create": createOrder,
  "payments.process": processPayment
}

const PREFIX = "/trpc/".length
const INPUT = "?input="

const answer = async (request: IncomingMessage, body: string): Promise<string> => {
  const target = request.url ?? ""
  const userId = () => userOfToken(request.headers.authorization)
  if (request.method === "GET") {
    const end = target.indexOf(INPUT)
    const input = decodeURIComponent(target.slice(end + INPUT.length))
    return read(target.slice(PREFIX, end), input, userId)
  }
  const path = target.slice(PREFIX)
  const mutation = mutations[path]
  if (mutation === undefined) throw new Refusal(404, "NotFound")
  const call = {
    path,
    userId: userId(),
    idempotencyKey: String(request.headers["idempotency-key"]),
    body,
    input: JSON.parse(body) as never
  }
  return JSON.stringify({ result: { data: await mutation(call) } })
}

const server = createServer((request, response) => {
  const send = (status: number, text: string) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) }
    response.writeHead(status, headers).end(text)
  }
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => (body += chunk))
  request.on("end", () => {
    answer(request, body).then(
      (text) => send(200, text),
      (error: Error) => {
        const status = error instanceof Refusal ? error.status : 500
        if (status === 500) console.error(error)
        send(status, JSON.stringify({ error: { message: error.message } }))
      }
    )
  })
})
server.listen(0, "127.0.0.1", () => listening((server.address() as AddressInfo).port))
