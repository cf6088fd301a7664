/** One line of a scrape. */
interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A metric with all its series. */
export interface Family {
  type: string
  help: string
  readonly samples: Array<Sample>
}

/** Reads the text format of Prometheus. */
export const familiesOf = (text: string): ReadonlyMap<string, Family> => {
  const families = new Map<string, Family>()
  const familyOf = (name: string) => {
    const family = families.get(name) ?? { type: "", help: "", samples: [] }
    families.set(name, family)
    return family
  }
  for (const line of text.split("\n")) {
    const [, keyword, about = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === "HELP") familyOf(about).help = rest
    else if (keyword === "TYPE") familyOf(about).type = rest
    else if (line !== "") {
      const [, name = "", inBraces = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const labels = Object.fromEntries(
        [...inBraces.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = "", of = ""]) => [label, of])
      )
      const base = name.replace(/_(bucket|sum|count)$/, "")
      familyOf(families.has(base) ? base : name).samples.push({ name, labels, value: Number(value) })
    }
  }
  return families
}
