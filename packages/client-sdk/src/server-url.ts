const SERVER_URL = /^(https?):\/\/([^/?#\s]+)([^?#\s]*)([?#].*)?$/i

/**
 * The server's URL as the client uses it, without a slash at its end. (React Native's `URL` cannot take one apart.)
 * @throws {TypeError} with the correction, if it is not the URL of a server
 */
export const serverUrl = (given: string): string => {
  const refuse = (fault: string, correction: string) =>
    new TypeError(`the url ${JSON.stringify(given)} ${fault}; write ${JSON.stringify(correction)}`)
  const [, protocol, authority, path = "", rest] = SERVER_URL.exec(given) ?? []
  if (protocol === undefined || authority === undefined) {
    const address = given.replace(/^[a-z][a-z\d+.-]*:\/\//i, "").replace(/^[/\s]+|\s+$/g, "")
    throw refuse("has to begin with http:// or https://", `http://${address || "localhost:3000"}`)
  }
  const root = path.replace(/\/+$/, "")
  const host = authority.slice(authority.lastIndexOf("@") + 1)
  const correct = `${protocol}://${host}${root.replace(/(\/trpc)+$/, "")}`
  if (rest !== undefined) throw refuse("has a query or a fragment", correct)
  if (host !== authority) throw refuse("holds credentials", correct)
  if (root.endsWith("/trpc")) throw refuse("ends in /trpc, which the client adds", correct)
  return correct
}
