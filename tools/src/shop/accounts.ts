import { createHmac } from "node:crypto"

export interface Account {
  readonly email: string
  readonly password: string
}

/** A password for development. It is the same at every start, and differs between machines. */
export const passwordOf = (secret: string, name: string): string =>
  createHmac("sha256", secret).update(name).digest("base64url").slice(0, 16)

/** The administrator of the shop that `npm start` runs. */
export const adminOf = (secret: string): Account => ({
  email: "admin@shop.example",
  password: passwordOf(secret, "admin")
})
