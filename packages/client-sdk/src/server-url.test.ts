import { expect, test } from "vitest"
import { createClient } from "./index.ts"
import { serverUrl } from "./server-url.ts"

test.each([
  ["http://localhost:3000", "http://localhost:3000"],
  ["http://localhost:3000/", "http://localhost:3000"],
  ["HTTPS://shop.example/api//", "HTTPS://shop.example/api"],
  ["http://[::1]:3000", "http://[::1]:3000"]
])("%s is a server's url", (given, expected) => {
  expect(serverUrl(given)).toBe(expected)
})

test.each([
  ["localhost:3000", "has to begin with http:// or https://", "http://localhost:3000"],
  ["//shop.example", "has to begin with http:// or https://", "http://shop.example"],
  ["ws://shop.example", "has to begin with http:// or https://", "http://shop.example"],
  ["", "has to begin with http:// or https://", "http://localhost:3000"],
  ["http://shop.example/trpc", "ends in /trpc", "http://shop.example"],
  ["http://shop.example/trpc/trpc/", "ends in /trpc", "http://shop.example"],
  ["https://shop.example/api/trpc", "ends in /trpc", "https://shop.example/api"],
  ["http://shop.example/?batch=1", "has a query or a fragment", "http://shop.example"],
  ["http://shop.example#top", "has a query or a fragment", "http://shop.example"],
  ["http://ann:secret@shop.example", "holds credentials", "http://shop.example"]
])("%s is refused at once, with the correction", (given, fault, correction) => {
  expect(() => createClient({ url: given })).toThrow(fault)
  expect(() => createClient({ url: given })).toThrow(`write ${JSON.stringify(correction)}`)
})
