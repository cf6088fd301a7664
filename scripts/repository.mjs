// Rules for all tracked files, whatever their language.
import { existsSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"

/** Paths that exist on one machine only, such as a home directory. */
const MACHINE_PATH =
  /(?:^|[\s"'`(=:])((?:\/(?:home|Users|root|work|workspace|mnt)\/[\w.-]+|[A-Za-z]:\\Users\\)[^\s"'`)]*)/gm

/** Hosts that resolve in one private network only. */
const PRIVATE_HOST = /\bhttps?:\/\/[^\s"'`)/]*\.(?:internal|corp|lan|intra|home)\b[^\s"'`)]*/g

/**
 * Finds paths, hosts and names in a text that belong to one machine or network.
 * @param text the content of a tracked file
 * @param names names of this machine, such as its host name and the path of the checkout
 */
export function machineTraces(text, names = []) {
  const paths = [...text.matchAll(MACHINE_PATH)].map(([, path]) => path)
  const hosts = [...text.matchAll(PRIVATE_HOST)].map(([url]) => url)
  return [...paths, ...hosts, ...names.filter((name) => text.includes(name))]
}

/** The addresses in a lockfile that override the registry npm is configured with. */
export const lockfileHosts = (lockfile) =>
  [...lockfile.matchAll(/\b(?:tarball|registry|repo):\s*(\S+)/g)].map(([, url]) => url)

/** Relative links of a Markdown text without a target. Anchors are compared with the headings of their page. */
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

/** The anchors that GitHub generates from headings. */
const headings = (text) =>
  [...text.matchAll(/^#{1,6}\s+(.+?)\s*$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-")
  )
