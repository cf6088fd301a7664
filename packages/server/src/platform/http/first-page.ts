import { createHash } from "node:crypto"

/** What the first page shows of an application beside its name, version and links. */
export interface Welcome {
  readonly name: string
  readonly summary: string
  /** Programs to paste, for a server at this URL. */
  readonly samples: (url: string) => ReadonlyArray<Sample>
  /** Accounts to try it with. They are shown on the machine of the server alone. */
  readonly accounts: () => ReadonlyArray<TestAccount>
}

export interface Sample {
  readonly title: string
  readonly text: string
}

/** An account of a shop for development. */
export interface TestAccount {
  readonly role: string
  readonly email: string
  readonly password: string
}

interface FirstPage {
  readonly welcome: Welcome
  readonly version: string
  /** Where the caller reached the server. */
  readonly url: string
  readonly accounts: ReadonlyArray<TestAccount>
}

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const LINKS = [
  ["/docs/", "API reference", "to read and to try"],
  ["/openapi.json", "OpenAPI document", "for generators of clients"],
  ["/readyz", "Health", "the state of the stores"]
] as const

/** The page at `/`: a document without scripts and without anything from other hosts. */
export const firstPageOf = ({ accounts, url, version, welcome }: FirstPage): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(welcome.name)}</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<img src="/favicon.svg" alt="" width="56" height="56">
<div>
<h1>${escaped(welcome.name)} <small>${escaped(version)}</small></h1>
<p>${escaped(welcome.summary)}</p>
</div>
</header>
<p class="runs">The server runs.</p>
<nav>
${LINKS.map(([href, title, text]) => `<a href="${href}"><strong>${title}</strong><span>${text}</span></a>`).join("\n")}
</nav>
${accountsOf(accounts)}${welcome.samples(url).map(sampleOf).join("\n")}
</main>
</body>
</html>
`

const sampleOf = ({ text, title }: Sample): string =>
  `<section>\n<h2>${escaped(title)}</h2>\n<pre tabindex="0"><code>${escaped(text)}</code></pre>\n</section>`

const accountsOf = (accounts: ReadonlyArray<TestAccount>): string => {
  if (accounts.length === 0) return ""
  const rows = accounts.map(({ email, password, role }) => {
    const [who, address, secret] = [role, email, password].map(escaped)
    return `<tr><th scope="row">${who}</th><td><code>${address}</code></td><td><code>${secret}</code></td></tr>`
  })
  return `<section>\n<h2>Test accounts</h2>\n<div class="wide"><table>\n${rows.join("\n")}\n</table></div>\n</section>\n`
}

const STYLE = `
:root { --text: #1c2430; --quiet: #5b6675; --page: #f6f7f9; --card: #fff; --edge: #dde2e9; --accent: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6eaf0; --quiet: #9aa6b5; --page: #12161c; --card: #1a2029; --edge: #2c3541; --accent: #4cc38a; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1rem; background: var(--page); color: var(--text); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 46rem; margin: 0 auto; }
header { display: flex; gap: 1rem; align-items: center; }
header img { flex: none; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; }
h1 small { font-size: .95rem; font-weight: 400; color: var(--quiet); }
header p { margin: .2rem 0 0; color: var(--quiet); }
.runs { margin: 1.75rem 0 1rem; }
.runs::before { content: ""; display: inline-block; width: .65rem; height: .65rem; margin-right: .5rem;
  border-radius: 50%; background: var(--accent); }
nav { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; }
nav a { padding: .9rem 1rem; border: 1px solid var(--edge); border-radius: .6rem; background: var(--card);
  color: inherit; text-decoration: none; }
nav a:hover, nav a:focus-visible { border-color: var(--accent); }
nav strong { display: block; color: var(--accent); }
nav span { font-size: .9rem; color: var(--quiet); }
h2 { margin: 2rem 0 .6rem; font-size: 1.05rem; }
pre, .wide { margin: 0; padding: .9rem 1rem; overflow-x: auto; border: 1px solid var(--edge); border-radius: .6rem;
  background: var(--card); }
code { font: .875rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
table { border-collapse: collapse; }
th { font-weight: 500; text-align: left; }
th, td { padding: .15rem 1.25rem .15rem 0; white-space: nowrap; }
`

/** What the page may load: its own style and the icon. */
export const FIRST_PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")
