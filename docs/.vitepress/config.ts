import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitepress"

const docs = fileURLToPath(new URL("..", import.meta.url))
const root = join(docs, "..")
const { repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly repository: { readonly url: string }
}
const home = repository.url.replace(/^git\+|\.git$/g, "")

/** The pages by topic. A page without a topic is at the end. */
const topics: Readonly<Record<string, ReadonlyArray<string>>> = {
  Packages: ["sdk", "domain", "locks", "testkit"],
  Guides: ["input", "guides/replay"],
  Operations: [
    "operations",
    "metrics",
    "addresses",
    "limits",
    "webhooks",
    "audit-trail",
    "caching",
    "redis-keys",
    "performance"
  ],
  Reference: ["glossary", "errors/index"],
  Decisions: pagesIn("adr")
}

function pagesIn(folder: string): ReadonlyArray<string> {
  return globSync(`${folder}/*.md`, { cwd: docs })
    .map((file) => file.replaceAll("\\", "/").replace(/\.md$/, ""))
    .filter((page) => !page.endsWith("/README"))
    .toSorted((a, b) => (a < b ? -1 : 1))
}

const fileOf = (page: string): string => join(docs, `${page.replace(/^errors\/index$/, "errors/README")}.md`)

const titleOf = (page: string): string => /^# (.+)$/m.exec(readFileSync(fileOf(page), "utf8"))?.[1] ?? page

const group = (text: string, pages: ReadonlyArray<string>, collapsed: boolean) => ({
  text,
  collapsed,
  items: pages.map((page) => ({ text: titleOf(page), link: `/${page.replace(/index$/, "")}` }))
})

const sidebar = () => {
  const placed = new Set(Object.values(topics).flat())
  const rest = pagesIn(".").filter((page) => page !== "index" && !placed.has(page))
  return [
    ...Object.entries(topics).map(([text, pages]) => group(text, pages, text === "Decisions")),
    ...(rest.length > 0 ? [group("More", rest, false)] : []),
    group("Errors", pagesIn("errors"), true)
  ]
}

/** Files beside the documents are read in the repository; a link to nothing stays as it is and fails the build. */
const linkOf = (target: string, page: string): string => {
  if (/^(?:[a-z]+:|#|\/)/i.test(target)) return target
  const [path = "", anchor] = target.split("#")
  const file = join(dirname(join(docs, page)), path)
  const inDocs = relative(docs, file)
  const isPage = file.endsWith(".md") && !inDocs.startsWith("..")
  if (isPage || !existsSync(file)) return target
  return `${home}/blob/main/${relative(root, file).replaceAll("\\", "/")}${anchor === undefined ? "" : `#${anchor}`}`
}

export default defineConfig({
  title: "Holdfast",
  description: "A commerce core for TypeScript that stays exact under any concurrency.",
  lang: "en",
  cleanUrls: true,
  rewrites: { "errors/README.md": "errors/index.md" },
  head: [["link", { rel: "icon", href: "/favicon.svg", type: "image/svg+xml" }]],
  markdown: {
    config: (markdown) => {
      markdown.core.ruler.push("links-to-the-repository", ({ env, tokens }) => {
        const { relativePath } = env as { readonly relativePath: string }
        const page = relativePath.replace(/^errors\/index\.md$/, "errors/README.md")
        for (const token of tokens.flatMap(({ children }) => children ?? []))
          if (token.type === "link_open") token.attrSet("href", linkOf(token.attrGet("href") ?? "", page))
      })
    }
  },
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: "Client", link: "/sdk" },
      { text: "Locks", link: "/locks" },
      { text: "Testkit", link: "/testkit" },
      { text: "Errors", link: "/errors/" },
      { text: "Glossary", link: "/glossary" }
    ],
    sidebar: sidebar(),
    outline: [2, 3]
  }
})
