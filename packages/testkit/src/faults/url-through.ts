/** The URL of the same database by another way to its server. */
export function urlThrough(url: string, { host, port }: { readonly host: string; readonly port: number }) {
  const through = new URL(url)
  through.hostname = host
  through.port = String(port)
  return through.href
}
