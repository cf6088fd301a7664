/** The URL of the same database, reached through another host and port. */
export function urlThrough(
  url: string,
  { host, port }: { readonly host: string; readonly port: number }
): string {
  const through = new URL(url)
  through.hostname = host
  through.port = String(port)
  return through.href
}

/** The URL of another numbered database of the same Redis server. */
export function urlOfDatabase(url: string, index: number): string {
  const other = new URL(url)
  other.pathname = `/${index}`
  return other.href
}
