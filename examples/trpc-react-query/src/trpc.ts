import {
  type AppRouter,
  authLink,
  errorsLink,
  holdfastHttpLink,
  idempotencyLink,
  retryLink
} from "@holdfast/client-sdk"
import { QueryClient } from "@tanstack/react-query"
import { createTRPCClient } from "@trpc/client"
import { createTRPCOptionsProxy } from "@trpc/tanstack-react-query"

let accessToken: string | undefined

const client = createTRPCClient<AppRouter>({
  links: [
    idempotencyLink(),
    retryLink({ maxAttempts: 3 }),
    authLink({
      known: () => accessToken,
      current: async () => accessToken,
      renew: async () => undefined
    }),
    errorsLink(),
    holdfastHttpLink({ url: new URLSearchParams(location.search).get("server") ?? "http://localhost:3000" })
  ]
})

/** Registers a new customer, whose token the calls from then on carry. */
export const signUp = async () => {
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() }
  await client.auth.register.mutate(credentials)
  accessToken = (await client.auth.login.mutate(credentials)).accessToken
}

// The links retry what is safe to retry.
export const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } })

/** The options of every procedure for the hooks of TanStack Query. */
export const trpc = createTRPCOptionsProxy<AppRouter>({ client, queryClient })
