// Rules of the repository's files, whatever their language.
import { existsSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"

/** Paths that exist on one machine alone: somebody's home, a scratch directory of this or that workplace. */
const MACHINE_PATH =
  /(?:^|[\s"'`(=:])((?:\/(?:home|Users|root|work|workspace|mnt)\/[\w.-]+|[A-Za-z]:\\Users\\)[^\s"'`)]*)/gm

/** Hosts that only one network knows. */
const PRIVATE_HOST = /\bhttps?:\/\/[^\s"'`)/]*\.(?:internal|corp|lan|intra|home)\b[^\s"'`)]*/g

/**
 * What in a text belongs to one machine or network.
 * @param text a tracked file's content
 * @param names of this machine, such as its host name and the checkout's path
 */
export function machineTraces(text, names = []) {
  const paths = [...text.matchAll(MACHINE_PATH)].map(([, path]) => path)
  const hosts = [...text.matchAll(PRIVATE_HOST)].map(([url]) => url)
  return [...paths, ...hosts, ...names.filter((name) => text.includes(name))]
}

/** Where a lockfile would have packages fetched from, other than "the registry that npm is configured with". */
export const lockfileHosts = (lockfile) =>
  [...lockfile.matchAll(/\b(?:tarball|registry|repo):\s*(\S+)/g)].map(([, url]) => url)

/** Relative links of a Markdown text that lead nowhere. Anchors within a page are compared with its headings. */
export function deadLinks(root, file, text = readFileSync(join(root, file), "utf8")) {
  const withoutCode = text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "")
  const targets = [
    ...withoutCode.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g),
    ...withoutCode.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)
  ]
  return targets
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/i.test(target) && !resolves(root, file, target))
}

function resolves(root, file, target) {
  const [path, anchor] = decodeURI(target).split("#")
  const found = path === "" ? join(root, file) : join(root, path.startsWith("/") ? "." : dirname(file), path)
  if (!existsSync(found)) return false
  if (anchor === undefined || !found.endsWith(".md") || statSync(found).isDirectory()) return true
  return headings(readFileSync(found, "utf8")).includes(anchor)
}

/** The anchors that GitHub makes of headings. */
const headings = (text) =>
  [...text.matchAll(/^#{1,6}\s+(.+?)\s*$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-")
  )
